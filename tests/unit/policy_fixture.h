/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A policy with its token file in a directory of its own, loaded with a fixed key.
 */
#ifndef SLAPENIR_POLICY_FIXTURE_H
#define SLAPENIR_POLICY_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy.h"
#include "report.h"

struct fixture {
	char dir[32], file[64], tokens[64];
	uint8_t key[32];
	struct report r;
	const char *said; /* the report, NUL-terminated */
	struct policy *p;
};

static inline void fixture_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_not_equal(fputs(text, f), EOF);
	fclose(f);
	chmod(path, 0600);
}

static inline struct policy *fixture_compile(struct fixture *f, const char *yaml, const char *tokens, const struct policy_options *more)
{
	struct policy_options o = more ? *more : (struct policy_options){0};

	fixture_write(f->file, yaml);
	fixture_write(f->tokens, tokens);
	o.file = f->file;
	o.key = f->key;
	report_deinit(&f->r);
	memset(&f->r, 0, sizeof(f->r));
	struct policy *p = policy_load(&o, &f->r);
	assert_int_equal(buf_putc(&f->r.text, 0), 0);
	f->said = (const char *)f->r.text.p;
	return p;
}

/* The policy that the fixture keeps; it must be usable. */
static inline struct policy *fixture_load(struct fixture *f, const char *yaml, const char *tokens)
{
	policy_free(f->p);
	f->p = fixture_compile(f, yaml, tokens, NULL);
	if (!f->p)
		fail_msg("%s\n%s", yaml, f->said);
	return f->p;
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/policy-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->file, sizeof(f->file), "%s/policy.yaml", f->dir);
	snprintf(f->tokens, sizeof(f->tokens), "%s/tokens", f->dir);
	memset(f->key, 7, sizeof(f->key));
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	policy_free(f->p);
	report_deinit(&f->r);
	unlink(f->file);
	unlink(f->tokens);
	rmdir(f->dir);
	free(f);
	return 0;
}

#endif
