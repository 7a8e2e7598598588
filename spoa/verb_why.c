/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "hostname.h"
#include "verb_policy.h"
#include "verbs.h"

struct url {
	char host[HOSTNAME_MAX];
	struct span path;
	bool plain;
};

static int parse_url(struct url *u, const char *text, const char **why)
{
	struct hostname h;
	size_t authority;

	if (strncmp(text, "https://", 8) == 0)
		text += 8;
	else if (strncmp(text, "http://", 7) == 0) {
		u->plain = true;
		text += 7;
	} else if (strstr(text, "://")) {
		*why = "only https:// and http:// go through the gateway";
		return -1;
	}
	authority = strcspn(text, "/?#");
	if (memchr(text, '@', authority)) {
		*why = "leave user and password out of the URL";
		return -1;
	}
	if (hostname_parse(&h, span_of(text, authority), u->plain ? HOSTNAME_HTTP_PORT : HOSTNAME_TLS_PORT, false, why) < 0)
		return -1;
	memcpy(u->host, h.text, sizeof(h.text));
	text += authority;
	u->path = span_of(text, strcspn(text, "?#"));
	if (u->path.len == 0)
		u->path = span_str("/");
	return 0;
}

static void print_places(unsigned places)
{
	static const char *const names[] = {"header", "query", "path", "body"};
	const char *comma = "";

	for (unsigned i = 0; i < 4; i++)
		if (places & 1u << i) {
			printf("%s%s", comma, names[i]);
			comma = ", ";
		}
}

static void print_secrets(const char *file, const struct policy *p, const struct policy_request *q)
{
	static const char *const reason[] = {
		[BAR_AGENT] = "this agent may not use it",
		[BAR_HOST] = "its hosts: do not name this host",
		[BAR_PLAIN] = "secrets never go over plain http",
		[BAR_METHOD_OR_PATH] = "its methods: or paths: do not match",
	};

	for (unsigned i = 0; i < policy_secret_count(p); i++) {
		enum policy_bar bar = policy_secret_bar(p, q, i);

		if (bar != BAR_NONE) {
			printf("  %s: its placeholder stays as it is: %s (%s:%u)\n", policy_secret_name(p, i), reason[bar], file, policy_secret_line(p, i));
			continue;
		}
		printf("  %s: its placeholder becomes the secret in: ", policy_secret_name(p, i));
		print_places(policy_secret_places(p, i));
		printf(" (%s:%u)\n", file, policy_secret_line(p, i));
	}
}

static int explain(const char *file, const struct policy *p, const struct policy_request *q)
{
	enum refusal_code code = policy_request(p, q);
	const struct policy_host *h = policy_host_find(p, q->host, q->plain);
	const struct refusal *r = refusal_get(code);
	struct buf rule = {0};

	if (code != REFUSAL_NONE) {
		int rc = policy_rule(p, q, code, &rule);

		printf("refused: %s (%u)\n  rule: %.*s, in %s\n  %s\n  how to mend it: %s\n", r->code, r->status, rc < 0 ? 0 : (int)rule.len,
		       rule.p ? (const char *)rule.p : "", file, r->meaning, r->how_to_mend);
		buf_deinit(&rule);
		return 1;
	}
	printf("allowed: %.*s %s://%.*s by %s (%s:%u)\n", (int)q->method.len, (const char *)q->method.p, q->plain ? "http" : "https", (int)q->host.len,
	       (const char *)q->host.p, h->name, file, h->line);
	if (h->connect)
		printf("  goes to %s, whatever DNS says\n", h->connect);
	if (h->ca)
		printf("  its certificate must be of the CA in %s\n", h->ca);
	if (policy_host_requires(p, q->host))
		printf("  a credential header must hold a placeholder that is allowed here (`require: true`)\n");
	print_secrets(file, p, q);
	return 0;
}

int verb_why(int argc, char **argv)
{
	static const struct option options[] = {{"agent", required_argument, NULL, 'a'}, {"method", required_argument, NULL, 'm'},
	                                        {"policy", required_argument, NULL, 'p'}, {"state", required_argument, NULL, 's'},
	                                        {"key", required_argument, NULL, 'k'}, {0}};
	const char *agent = "", *method = "GET", *policy = NULL, *state = NULL, *key = NULL, *why, *file;
	char room[PATH_MAX];
	struct report r = {.no_warnings = true};
	struct url u = {0};
	struct policy *p;
	int opt, rc = 1;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return 2;
		*(opt == 'a' ? &agent : opt == 'm' ? &method : opt == 'p' ? &policy : opt == 's' ? &state : &key) = optarg;
	}
	if (argc - optind != 1) {
		fprintf(stderr, "usage: slapenir why URL [--agent CN] [--method METHOD] [--policy FILE] [--state DIR]\n");
		return 2;
	}
	if (parse_url(&u, argv[optind], &why) < 0) {
		fprintf(stderr, "slapenir why: %s: %s\n", argv[optind], why);
		return 2;
	}
	file = verb_find_policy(policy, state, room, sizeof(room));
	p = verb_load_policy(file, key, state, true, &r);
	report_print(&r, stderr);
	if (p) {
		struct policy_request q = {.agent = span_str(agent), .host = span_str(u.host), .method = span_str(method), .path = u.path, .plain = u.plain};

		rc = explain(file, p, &q);
	}
	policy_free(p);
	report_deinit(&r);
	return rc;
}
