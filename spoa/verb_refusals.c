/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "refusal.h"
#include "verbs.h"

int verb_refusals(int argc, char **argv)
{
	struct buf text = {0};
	int rc = 1;

	if (argc != 1) {
		fprintf(stderr, "usage: slapenir %s\n", argv[0]);
		return 2;
	}
	if (refusal_document(&text) == 0 && fwrite(text.p, 1, text.len, stdout) == text.len && fflush(stdout) == 0)
		rc = 0;
	buf_deinit(&text);
	return rc;
}
