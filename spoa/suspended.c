/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "suspended.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

struct suspended {
	const char *path;
	char **cn;
	size_t count;
};

/* As the mTLS frontend takes them: 1-64 of [A-Za-z0-9._-]. */
static bool is_cn(struct span cn)
{
	if (cn.len < 1 || cn.len > 64)
		return false;
	for (size_t i = 0; i < cn.len; i++) {
		uint8_t c = cn.p[i];

		if (!((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

static size_t find(const struct suspended *s, struct span cn)
{
	size_t i = 0;

	while (i < s->count && !span_is(cn, s->cn[i]))
		i++;
	return i;
}

static int add(struct suspended *s, struct span cn)
{
	char **more = reallocarray(s->cn, s->count + 1, sizeof(*more));

	if (!more)
		return -1;
	s->cn = more;
	s->cn[s->count] = strndup((const char *)cn.p, cn.len);
	if (!s->cn[s->count])
		return -1;
	s->count++;
	return 0;
}

struct suspended *suspended_open(const char *path)
{
	struct suspended *s = calloc(1, sizeof(*s));
	char line[256];
	FILE *f;

	if (!s)
		return NULL;
	s->path = path;
	f = fopen(path, "re");
	if (!f && errno != ENOENT) {
		/* going on without it would let suspended agents in again */
		log_error("%s: %m", path);
		free(s);
		return NULL;
	}
	while (f && fgets(line, sizeof(line), f)) {
		struct span cn = span_of(line, strcspn(line, "\n"));

		if (is_cn(cn) && find(s, cn) == s->count && add(s, cn) < 0)
			break;
	}
	if (f)
		fclose(f);
	return s;
}

void suspended_free(struct suspended *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		free(s->cn[i]);
	free(s->cn);
	free(s);
}

static int save(const struct suspended *s)
{
	char beside[PATH_MAX];
	int fd, rc = 0;

	if (snprintf(beside, sizeof(beside), "%s.new", s->path) >= (int)sizeof(beside))
		return -1;
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < s->count; i++)
		rc |= dprintf(fd, "%s\n", s->cn[i]) < 0;
	rc |= fsync(fd) < 0;
	close(fd);
	return rc || rename(beside, s->path) < 0 ? -1 : 0;
}

int suspended_set(struct suspended *s, struct span cn, bool on)
{
	size_t at = find(s, cn);

	if (!is_cn(cn))
		return -1;
	if ((at < s->count) == on)
		return 0;
	if (on) {
		if (add(s, cn) < 0)
			return -1;
	} else {
		free(s->cn[at]);
		s->cn[at] = s->cn[--s->count];
	}
	if (save(s) < 0) {
		log_error("%s: %m: the change does not outlive this process", s->path);
		return -1;
	}
	return 1;
}

size_t suspended_count(const struct suspended *s)
{
	return s->count;
}

const char *suspended_get(const struct suspended *s, size_t i)
{
	return s->cn[i];
}
