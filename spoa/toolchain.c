/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "toolchain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"

/* Appends what a @WORD@ stands for; anything else is text. */
static int substitute(struct buf *out, const char **at, const struct toolchain *t)
{
	static const char *const words[] = {"@PROXY@", "@PROXY_HOST@", "@PROXY_PORT@", "@CA@", "@JKS@", "@LIB@"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i]);

		if (strncmp(*at, words[i], len) != 0)
			continue;
		*at += len;
		switch (i) {
		case 0: return buf_printf(out, "http://%s:%s", t->proxy_host, t->proxy_port);
		case 1: return buf_printf(out, "%s", t->proxy_host);
		case 2: return buf_printf(out, "%s", t->proxy_port);
		case 3: return buf_printf(out, "%s/ca.pem", t->trust);
		case 4: return buf_printf(out, "%s/ca.jks", t->trust);
		default: return buf_printf(out, "%s", t->lib);
		}
	}
	return buf_putc(out, (uint8_t)*(*at)++);
}

static int one_line(char *line, const struct toolchain *t, struct buf *value, int (*each)(void *, const char *, const char *), void *ctx)
{
	char *equals = strchr(line, '=');
	const char *at;

	line[strcspn(line, "\n")] = '\0';
	if (line[0] == '#' || !equals)
		return 0;
	*equals = '\0';
	buf_reset(value);
	for (at = equals + 1; *at;)
		if (substitute(value, &at, t) < 0)
			return -1;
	if (buf_putc(value, '\0') < 0)
		return -1;
	return each(ctx, line, (const char *)value->p);
}

int toolchain_each(const char *file, const struct toolchain *t, int (*each)(void *ctx, const char *name, const char *value), void *ctx)
{
	FILE *f = fopen(file, "re");
	struct buf value = {0};
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	if (!f) {
		log_error("%s: %s; it belongs to the installation (SLAPENIR_HOME)", file, strerror(errno));
		return -1;
	}
	while (r == 0 && getline(&line, &size, f) >= 0)
		r = one_line(line, t, &value, each, ctx);
	free(line);
	buf_deinit(&value);
	fclose(f);
	return r;
}
