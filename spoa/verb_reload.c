/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 *   agent: compile, publish the union of shapes --> render, HAProxy --> agent: workers of the new generation
 *
 * Whatever fails before the last step leaves all as it was; when that one does, HAProxy is taken back too.
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

/* 0 when the answer begins with `ok`; *answer is then what follows. Else it was printed. */
static int tell(const char *control, const char *line, struct buf *answer)
{
	buf_reset(answer);
	if (control_ask(control, line, answer) < 0) {
		fprintf(stderr, "slapenir reload: no agent answers at %s (%m); start one with `make up`, or give its --state DIR\n", control);
		return -1;
	}
	if (answer->len < 3 || memcmp(answer->p, "ok ", 3) != 0) {
		size_t word = answer->len > 6 ? 6 : answer->len; /* `error ` */

		fprintf(stderr, "slapenir reload: all stays as it was: %.*s", (int)(answer->len - word), (const char *)answer->p + word);
		return -1;
	}
	memmove(answer->p, answer->p + 3, answer->len - 3);
	answer->len -= 3;
	return 0;
}

static int reload(const char *state, const char *control, struct buf *answer, struct report *r)
{
	struct buf ignored = {0};
	char policy[PATH_MAX];

	if (tell(control, "policy", answer) < 0 || answer->len >= sizeof(policy))
		return -1;
	memcpy(policy, answer->p, answer->len);
	policy[answer->len] = '\0';
	policy[strcspn(policy, "\n")] = '\0';
	if (tell(control, "prepare", answer) < 0)
		return -1;
	if (gateway_reload(policy, state, r) < 0) {
		tell(control, "abort", &ignored);
		buf_deinit(&ignored);
		fprintf(stderr, "slapenir reload: HAProxy did not take it, all stays as it was:\n");
		return -1;
	}
	if (tell(control, "commit", answer) < 0) {
		if (gateway_reload_undo(state, r) < 0)
			fprintf(stderr, "slapenir reload: HAProxy could not be taken back; run it again when the cause is mended:\n");
		return -1;
	}
	fwrite(answer->p, 1, answer->len, stdout);
	return 0;
}

int verb_reload(int argc, char **argv)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'}, {0}};
	char state[PATH_MAX], control[PATH_MAX];
	const char *state_option = NULL;
	struct buf answer = {0};
	struct report r = {0};
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) == 's')
		state_option = optarg;
	if (opt != -1 || optind < argc) {
		fprintf(stderr, "usage: slapenir reload [--state DIR]\n");
		return 2;
	}
	if (state_default(state, sizeof(state), state_option) < 0 ||
	    state_path(control, sizeof(control), state, STATE_CONTROL_SOCK) < 0) {
		fprintf(stderr, "slapenir reload: no usable state directory; give --state DIR\n");
		return 1;
	}
	rc = reload(state, control, &answer, &r);
	report_print(&r, stderr);
	report_deinit(&r);
	buf_deinit(&answer);
	return rc == 0 ? 0 : 1;
}
