/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Refused hosts of the audit log as lines for `hosts:`. What an agent asked for is no reason to allow it: the lines are for a person to
 * read and to copy.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostname.h"
#include "json.h"
#include "state.h"
#include "verb_policy.h"
#include "verbs.h"

struct refused { /* one host as one agent asked for it */
	char host[HOSTNAME_MAX];
	char agent[65];
	bool plain;
	unsigned long count;
};

struct refused_list {
	struct refused *at;
	size_t count, room;
};

struct line {
	struct span host, agent, code;
};

/* The members that count; those behind them (a list of secrets) are not looked at. */
static bool read_line(struct line *l, struct span text)
{
	struct json_member m;

	*l = (struct line){0};
	while ((!l->host.len || !l->agent.len || !l->code.len) && json_next(&m, &text) == 1)
		if (m.is_string && span_is(m.key, "host"))
			l->host = m.value;
		else if (m.is_string && span_is(m.key, "agent"))
			l->agent = m.value;
		else if (m.is_string && span_is(m.key, "code"))
			l->code = m.value;
	return l->host.len && (span_is(l->code, "host_denied") || span_is(l->code, "port_denied"));
}

/* The log's names come from agents: only what is a canonical host goes on. */
static int keep(struct refused_list *list, const struct line *l)
{
	struct refused new = {0};
	struct hostname h;
	const char *why;

	if (hostname_parse(&h, l->host, HOSTNAME_TLS_PORT, false, &why) < 0)
		return 0;
	memcpy(new.host, h.text, sizeof(h.text));
	for (size_t i = 0; i < l->agent.len && i < sizeof(new.agent) - 1; i++) {
		uint8_t c = l->agent.p[i];

		new.agent[i] = c > ' ' && c < 0x7f ? (char)c : '?';
	}
	new.plain = h.port == HOSTNAME_HTTP_PORT;
	new.count = 1;
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		struct refused *more = reallocarray(list->at, room, sizeof(*more));

		if (!more)
			return -1;
		list->at = more;
		list->room = room;
	}
	list->at[list->count++] = new;
	return 0;
}

static int by_host(const void *a, const void *b)
{
	const struct refused *x = a, *y = b;
	int d = strcmp(x->host, y->host);

	return d ? d : strcmp(x->agent, y->agent);
}

/* Now and then, so that a long log does not stay in memory. */
static void add_up(struct refused_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->at, list->count, sizeof(*list->at), by_host);
	for (size_t i = 0; i < list->count; i++)
		if (kept && by_host(&list->at[kept - 1], &list->at[i]) == 0)
			list->at[kept - 1].count += list->at[i].count;
		else
			list->at[kept++] = list->at[i];
	list->count = kept;
}

static int read_log(const char *path, struct refused_list *list)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	ssize_t n;
	int rc = 0;

	if (!f) {
		fprintf(stderr, "slapenir learn: %s cannot be opened: %s\n", path, strerror(errno));
		return -1;
	}
	while (rc == 0 && (n = getline(&text, &size, f)) > 0) {
		struct line l;

		if (read_line(&l, span_of(text, (size_t)n)))
			rc = keep(list, &l);
		if (list->count == list->room && list->room >= 4096)
			add_up(list);
	}
	if (ferror(f))
		rc = -1;
	if (rc < 0)
		fprintf(stderr, "slapenir learn: %s cannot be read to its end\n", path);
	free(text);
	fclose(f);
	add_up(list);
	return rc;
}

/* Refused then, allowed now. */
static bool is_allowed(const struct policy *p, const struct refused *r)
{
	return policy_host_find(p, span_str(r->host), false) || policy_host_find(p, span_str(r->host), true);
}

static void print_key(const char *host)
{
	const char *port = strrchr(host, ':');

	if (strcmp(port, ":443") == 0 || strcmp(port, ":80") == 0)
		printf("  %.*s: ", (int)(port - host), host);
	else
		printf("  \"%s\": ", host);
}

static void print_lines(const char *file, const struct policy *p, const struct refused_list *list)
{
	size_t lines = 0, allowed = 0;

	for (size_t i = 0; i < list->count;) {
		const struct refused *r = &list->at[i];
		unsigned long count = 0;
		size_t end = i;

		while (end < list->count && strcmp(list->at[end].host, r->host) == 0)
			count += list->at[end++].count;
		if (p && is_allowed(p, r)) {
			allowed++;
		} else {
			if (lines++ == 0)
				printf("# asked for and refused; copy what you want to allow to hosts: of %s\nhosts:\n", file);
			print_key(r->host);
			printf("%s  # %lux by", r->plain ? "{ http: allow }" : "{}", count);
			for (size_t k = i; k < end; k++)
				printf(" %s", list->at[k].agent[0] ? list->at[k].agent : "?");
			putchar('\n');
		}
		i = end;
	}
	if (!lines)
		printf("# nothing was refused that the policy does not allow now\n");
	if (allowed)
		printf("# %zu more hosts were refused, but are allowed now, or only not for that agent\n", allowed);
}

int verb_learn(int argc, char **argv)
{
	static const struct option options[] = {{"policy", required_argument, NULL, 'p'}, {"state", required_argument, NULL, 's'}, {0}};
	const char *policy = NULL, *state = NULL, *file;
	char room[PATH_MAX], dir[PATH_MAX], path[PATH_MAX];
	struct report r = {.no_warnings = true};
	struct refused_list list = {0};
	struct policy *p = NULL;
	int opt, rc = 1;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return 2;
		*(opt == 'p' ? &policy : &state) = optarg;
	}
	if (argc - optind > 1) {
		fprintf(stderr, "usage: slapenir learn [AUDIT_LOG] [--policy FILE] [--state DIR]\n");
		return 2;
	}
	if (optind < argc)
		snprintf(path, sizeof(path), "%s", argv[optind]);
	else if (state_default(dir, sizeof(dir), state) < 0 || state_path(path, sizeof(path), dir, STATE_AUDIT_LOG) < 0) {
		fprintf(stderr, "slapenir learn: no usable state directory; give --state DIR\n");
		return 1;
	}
	file = verb_find_policy(policy, state, room, sizeof(room));
	p = verb_load_policy(file, NULL, state, true, &r);
	report_print(&r, stderr);
	if (p && read_log(path, &list) == 0) {
		print_lines(file, p, &list);
		rc = 0;
	}
	free(list.at);
	policy_free(p);
	report_deinit(&r);
	return rc;
}
