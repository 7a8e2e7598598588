/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The verbs that ask a running master: status, suspend, lift.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "state.h"
#include "verbs.h"

/* Asks the master of that state (or of the default one) and appends its answer. -1: the reason was printed. */
static int ask(const char *verb, const char *state_option, const char *line, struct buf *answer)
{
	char state[PATH_MAX], path[PATH_MAX];

	if (state_default(state, sizeof(state), state_option) < 0 || state_path(path, sizeof(path), state, STATE_CONTROL_SOCK) < 0) {
		fprintf(stderr, "slapenir %s: no usable state directory; give --state DIR\n", verb);
		return -1;
	}
	if (control_ask(path, line, answer) < 0) {
		fprintf(stderr, "slapenir %s: no agent answers at %s (%m); start one with `make up`, or give the --state DIR of a running one\n",
		        verb, path);
		return -1;
	}
	return 0;
}

static int print(const char *verb, struct buf *answer)
{
	bool error = answer->len >= 5 && memcmp(answer->p, "error", 5) == 0;

	if (error)
		fprintf(stderr, "slapenir %s: %.*s", verb, (int)answer->len - 6, (const char *)answer->p + 6);
	else
		fwrite(answer->p, 1, answer->len, stdout);
	buf_deinit(answer);
	return error ? 1 : 0;
}

/* --state DIR and `arguments` words after it. -1: usage was printed. */
static int parse(int argc, char **argv, int arguments, const char *usage, const char **state)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'}, {0}};
	int opt;

	*state = NULL;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt != 's')
			break;
		*state = optarg;
	}
	if (opt == -1 && argc - optind == arguments)
		return 0;
	fprintf(stderr, "usage: slapenir %s\n", usage);
	return -1;
}

int verb_status(int argc, char **argv)
{
	struct buf answer = {0};
	const char *state;

	if (parse(argc, argv, 0, "status [--state DIR]", &state) < 0)
		return 2;
	return ask("status", state, "status", &answer) < 0 ? 1 : print("status", &answer);
}

static int tell_about_agent(int argc, char **argv, const char *verb, const char *usage)
{
	struct buf answer = {0};
	const char *state;
	char line[256];

	if (parse(argc, argv, 1, usage, &state) < 0)
		return 2;
	if (snprintf(line, sizeof(line), "%s %s", verb, argv[optind]) >= (int)sizeof(line) || strchr(line, '\n')) {
		fprintf(stderr, "slapenir %s: a CN has at most 64 bytes\n", verb);
		return 2;
	}
	return ask(verb, state, line, &answer) < 0 ? 1 : print(verb, &answer);
}

int verb_suspend(int argc, char **argv)
{
	return tell_about_agent(argc, argv, "suspend", "suspend CN [--state DIR]");
}

int verb_lift(int argc, char **argv)
{
	return tell_about_agent(argc, argv, "lift", "lift CN [--state DIR]");
}
