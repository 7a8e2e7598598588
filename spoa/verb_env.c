/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "verb_policy.h"
#include "verbs.h"

static bool is_safe(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_./:@%+=,-", c));
}

/* In single quotes, as POSIX shells read them, only where it must be. */
static void print_value(struct span v)
{
	bool safe = true;

	for (size_t i = 0; i < v.len; i++)
		safe = safe && is_safe(v.p[i]);
	if (safe) {
		fwrite(v.p, 1, v.len, stdout);
		return;
	}
	putchar('\'');
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] == '\'')
			fputs("'\\''", stdout);
		else
			putchar(v.p[i]);
	putchar('\'');
}

static int print_environment(const char *file, const struct policy *p, const char *agent)
{
	struct policy_request probe = {.agent = span_str(agent ? agent : "")};

	if (agent && policy_connect(p, probe.agent, probe.host) == REFUSAL_AGENT_UNKNOWN) {
		fprintf(stderr, "%s: agents: %s is not listed: add it there\n", file, agent);
		return 1;
	}
	for (unsigned i = 0; i < policy_secret_count(p); i++) {
		if (agent && !policy_agent_may_use(p, probe.agent, i))
			continue;
		printf("%s=", policy_secret_name(p, i));
		print_value(policy_secret_placeholder(p, i));
		putchar('\n');
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

int verb_env(int argc, char **argv)
{
	static const struct option options[] = {
		{"agent", required_argument, NULL, 'a'}, {"state", required_argument, NULL, 's'}, {"key", required_argument, NULL, 'k'}, {0}};
	const char *agent = NULL, *state = NULL, *key = NULL;
	struct report r = {.no_warnings = true}; /* `check` is where to read them */
	struct policy *p;
	int opt, rc = 1;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return 2;
		*(opt == 'a' ? &agent : opt == 's' ? &state : &key) = optarg;
	}
	if (argc - optind != 1) {
		fprintf(stderr, "usage: slapenir env POLICY [--agent CN] [--state DIR] [--key FILE]\n");
		return 2;
	}
	p = verb_load_policy(argv[optind], key, state, false, &r);
	report_print(&r, stderr);
	if (p)
		rc = print_environment(argv[optind], p, agent);
	policy_free(p);
	report_deinit(&r);
	return rc;
}
