/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * This table is the map of the program.
 */
#include <stdio.h>
#include <string.h>

#include "verbs.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} verbs[] = {
	{"check", verb_check, "POLICY: is it valid? FILE:LINE, what is wrong, how to mend it"},
	{"doctor", verb_doctor, "what this machine lacks, and a canary secret through a real gateway"},
	{"env", verb_env, "POLICY: the environment that a sandbox gets, KEY=placeholder"},
	{"filter", verb_filter, "standard input to output through the rewriting that the gateway does"},
	{"why", verb_why, "URL: what the policy would do with a request, and by which line"},
	{"init", verb_init, "--from-env FILE: a first policy from what is there"},
	{"secret", verb_secret, "set, ls, rm NAME: change a token file"},
	{"learn", verb_learn, "refused hosts of the audit log as lines of a policy"},
	{"refusals", verb_refusals, "the table of refusals, as docs/refusals.md"},
	{"render", verb_render, "POLICY: write HAProxy's part of it"},
	{"run", verb_run, "-- COMMAND: in a sandbox whose only way out is a gateway of its own"},
	{"spoa", verb_spoa, "the agent: a master and its workers, answering HAProxy"},
	{"status", verb_status, "living workers, generations, suspended agents"},
	{"reload", verb_reload, "check, render, HAProxy, agent; or all stays as it was"},
	{"logs", verb_logs, "the last lines of the audit log; -f follows it"},
	{"suspend", verb_suspend, "CN: refuse an agent from now on"},
	{"lift", verb_lift, "CN: let a suspended agent in again"},
};

static int usage(FILE *to, int status)
{
	fprintf(to, "usage: slapenir VERB …\n\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].what);
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, 2);
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
		return usage(stdout, 0);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	fprintf(stderr, "slapenir: there is no verb `%s`\n\n", argv[1]);
	return usage(stderr, 2);
}
