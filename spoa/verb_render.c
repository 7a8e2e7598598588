/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "key.h"
#include "policy.h"
#include "render.h"
#include "report.h"
#include "state.h"
#include "verbs.h"

static int render(const char *file, const char *state, const char *key_file, bool group_reads, struct report *r)
{
	struct policy_options o = {.file = file};
	uint8_t key[KEY_BYTES];
	struct policy *p;
	int rc;

	if (key_load(key, key_file, state) < 0)
		return -1;
	o.key = key;
	p = policy_load(&o, r);
	OPENSSL_cleanse(key, sizeof(key));
	if (!p)
		return -1;
	rc = render_stage(p, state, group_reads, r) == 0 && render_commit(state, r) == 0 ? 0 : -1;
	policy_free(p);
	return rc;
}

int verb_render(int argc, char **argv)
{
	static const struct option options[] = {
		{"state", required_argument, NULL, 's'}, {"key", required_argument, NULL, 'k'}, {"group-reads", no_argument, NULL, 'g'}, {0}};
	const char *state_option = NULL, *key_file = NULL;
	struct report r = {0};
	char state[PATH_MAX];
	bool group_reads = false;
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 's')
			state_option = optarg;
		else if (opt == 'k')
			key_file = optarg;
		else if (opt == 'g')
			group_reads = true;
		else
			return 2;
	}
	if (argc - optind != 1) {
		fprintf(stderr, "usage: slapenir render POLICY --state DIR [--key FILE] [--group-reads]\n");
		return 2;
	}
	if (state_default(state, sizeof(state), state_option) < 0) {
		fprintf(stderr, "slapenir render: no usable state directory; give --state DIR\n");
		return 1;
	}
	rc = render(argv[optind], state, key_file, group_reads, &r);
	report_print(&r, stderr);
	report_deinit(&r);
	return rc == 0 ? 0 : 1;
}
