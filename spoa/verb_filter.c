/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verb_policy.h"
#include "verbs.h"

struct job {
	const struct policy *p;
	struct rewrite_scope scope;
	struct policy_grant grant;
	bool body;
};

static enum rewrite_verdict decide(void *ctx, enum rewrite_match match, unsigned *entry)
{
	struct job *j = ctx;

	if (j->scope.direction == REWRITE_RESPONSE)
		return REWRITE_REPLACE;
	if (match == MATCH_SECRET)
		return REWRITE_STOP;
	return policy_grants(j->p, &j->grant, *entry, j->body ? INJECT_BODY : INJECT_HEADER) ? REWRITE_REPLACE : REWRITE_KEEP;
}

int verb_filter(int argc, char **argv)
{
	static const struct option o[] = {{"policy", 1, 0, 'p'}, {"direction", 1, 0, 'd'}, {"host", 1, 0, 'h'}, {"agent", 1, 0, 'a'}, {"part", 1, 0, 'P'}, {"chunk", 1, 0, 'c'}, {"state", 1, 0, 's'}, {"key", 1, 0, 'k'}, {0}};
	const char *policy = NULL, *direction = "response", *host = "", *agent = "", *part = "body", *state = NULL, *key = NULL;
	size_t chunk = 65536, have = 0;
	struct report r = {.no_warnings = true};
	struct rewrite_hits hits = {0};
	struct rewrite_step st = {0};
	struct buf out = {0}, g = {0};
	struct job j = {0};
	struct policy *p;
	uint8_t *in = malloc(1 << 21);
	bool eof = false;
	char name[300];
	int c;

	while ((c = getopt_long(argc, argv, "", o, NULL)) != -1)
		switch (c) {
		case 'p': policy = optarg; break;
		case 'd': direction = optarg; break;
		case 'h': host = optarg; break;
		case 'a': agent = optarg; break;
		case 'P': part = optarg; break;
		case 'c': chunk = strtoul(optarg, NULL, 10); break;
		case 's': state = optarg; break;
		case 'k': key = optarg; break;
		default: return 2;
		}
	if (!policy || !chunk || chunk > 1 << 20 || !in)
		return 2;
	p = verb_load_policy(policy, key, state, false, &r);
	report_print(&r, stderr);
	if (!p)
		return 1;
	snprintf(name, sizeof(name), strchr(host, ':') ? "%s" : "%s:443", host);
	j.p = p;
	j.body = strcmp(part, "body") == 0;
	j.scope = (struct rewrite_scope){.direction = strcmp(direction, "request") == 0 ? REWRITE_REQUEST : REWRITE_RESPONSE, .decide = decide, .ctx = &j};
	struct policy_request q = {.agent = span_str(agent), .host = span_str(name), .method = span_str("POST"), .path = span_str("/")};
	if (policy_grant_encode(p, &q, &g) < 0 || !policy_grant_decode(p, buf_span(&g), &j.grant))
		return 1;
	while (!eof || have) {
		enum rewrite_result rr;
		ssize_t n = eof ? 0 : read(0, in + have, chunk);

		if (n <= 0)
			eof = true;
		else
			have += (size_t)n;
		buf_reset(&out);
		st.in = span_of(in, have);
		st.last = eof;
		st.out = &out;
		rr = rewrite_feed(policy_rewriter(p), &j.scope, &st, &hits);
		if (rr == REWRITE_STOPPED) {
			fprintf(stderr, "slapenir filter: tripwire\n");
			return 1;
		}
		if (rr == REWRITE_ERROR)
			return 1;
		fwrite(st.changed ? out.p : in, 1, st.changed ? out.len : st.consumed, stdout);
		memmove(in, in + st.consumed, have - st.consumed);
		have -= st.consumed;
		if (eof && !have)
			break;
	}
	return fflush(stdout) ? 1 : 0;
}
