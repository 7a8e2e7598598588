/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * HAProxy first, then the agent: a HAProxy that knows a host whose generation is not there yet is refused by the old one, while a
 * generation whose hosts HAProxy does not know could not be reached. Each step leaves what was when it fails.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "gateway.h"
#include "report.h"
#include "state.h"
#include "verbs.h"

static int reload_agent(const char *state)
{
	struct buf answer = {0};
	char path[PATH_MAX];
	bool ok = false;

	if (state_path(path, sizeof(path), state, STATE_CONTROL_SOCK) == 0 && control_ask(path, "reload", &answer) == 0) {
		ok = answer.len >= 3 && memcmp(answer.p, "ok ", 3) == 0;
		fprintf(ok ? stdout : stderr, "%.*s", (int)answer.len, (const char *)answer.p);
	} else {
		fprintf(stderr, "slapenir reload: no agent answers at %s (%m)\n", path);
	}
	buf_deinit(&answer);
	return ok ? 0 : -1;
}

int verb_reload(int argc, char **argv)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'}, {"policy", required_argument, NULL, 'p'}, {0}};
	const char *state_option = NULL, *policy = NULL;
	struct report r = {0};
	char state[PATH_MAX];
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 's')
			state_option = optarg;
		else if (opt == 'p')
			policy = optarg;
		else
			break;
	}
	if (opt != -1 || optind < argc) {
		fprintf(stderr, "usage: slapenir reload [--policy FILE] [--state DIR]\n");
		return 2;
	}
	if (state_default(state, sizeof(state), state_option) < 0) {
		fprintf(stderr, "slapenir reload: no usable state directory; give --state DIR\n");
		return 1;
	}
	rc = gateway_reload(policy, state, &r);
	report_print(&r, stderr);
	report_deinit(&r);
	return rc == 0 && reload_agent(state) == 0 ? 0 : 1;
}
