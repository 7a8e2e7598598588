/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "token_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "tokens.h"

enum { FILE_BYTES_MAX = 16 << 20 };

int token_line(struct buf *out, struct span name, struct span value)
{
	size_t before = out->len;
	bool quoted = value.len && (memchr(value.p, '\n', value.len) || value.p[0] == '"' || value.p[0] == '\'' || value.p[value.len - 1] == '\r');
	int rc = buf_append_span(out, name);

	if (value.len && memchr(value.p, 0, value.len))
		rc = -1;
	if (rc == 0)
		rc = buf_append(out, "=\"", quoted ? 2 : 1);
	for (size_t i = 0; rc == 0 && i < value.len; i++) {
		uint8_t c = value.p[i];

		if (quoted && (c == '\n' || c == '"' || c == '\\')) {
			rc = buf_putc(out, '\\');
			c = c == '\n' ? 'n' : c;
		}
		if (rc == 0)
			rc = buf_putc(out, c);
	}
	if (rc == 0)
		rc = buf_append(out, &"\"\n"[!quoted], quoted ? 2 : 1);
	if (rc < 0)
		out->len = before;
	return rc;
}

static int read_all(int fd, struct buf *out)
{
	ssize_t n;

	out->limit = FILE_BYTES_MAX;
	do {
		if (buf_reserve(out, 64 << 10) < 0) {
			errno = EFBIG;
			return -1;
		}
		n = read(fd, out->p + out->len, out->cap - out->len);
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0);
	return (int)n;
}

/* Copies the lines of old with the change. 1: something changed, 0: nothing did, -1: out of memory or not a token file. */
static int change(struct buf *new, const struct buf *old, const char *name, struct span value, unsigned *bad_line)
{
	uint8_t *copy = malloc(old->len + 1); /* tokens_next() decodes in place */
	struct token token = {0};
	size_t at = 0, done = 0;
	bool changed = false;
	int rc;

	if (!copy)
		return -1;
	if (old->len)
		memcpy(copy, old->p, old->len);
	while ((rc = tokens_next(&token, copy, old->len, &at)) != 0) {
		size_t start = at - token.whole.len;

		if (rc < 0) {
			*bad_line = token.line;
			break;
		}
		if (!span_is(token.key, name))
			continue;
		if (buf_append(new, old->p + done, start - done) < 0 || (value.p && !changed && token_line(new, token.key, value) < 0)) {
			rc = -1;
			break;
		}
		done = at;
		changed = true;
	}
	if (rc == 0 && buf_append(new, old->p ? old->p + done : (const uint8_t *)"", old->len - done) < 0)
		rc = -1;
	if (rc == 0 && value.p && !changed) {
		if (new->len && new->p[new->len - 1] != '\n')
			rc = buf_putc(new, '\n');
		if (rc == 0)
			rc = token_line(new, span_str(name), value);
		changed = true;
	}
	explicit_bzero(copy, old->len);
	free(copy);
	return rc < 0 ? -1 : changed;
}

/* A .pem file is replaced or removed. */
static int edit_whole(int dir, const char *base, struct span value, struct buf *new)
{
	if (value.p)
		return buf_append_span(new, value) < 0 || buf_putc(new, '\n') < 0 ? -1 : 1;
	return unlinkat(dir, base, 0) == 0 ? 1 : errno == ENOENT ? 0 : -1;
}

static int write_all(int fd, struct span s)
{
	while (s.len) {
		ssize_t n = write(fd, s.p, s.len);

		if (n < 0)
			return -1;
		s.p += n;
		s.len -= (size_t)n;
	}
	return fsync(fd);
}

/* Beside it and renamed, with the owner and mode that the old one has. */
static int replace(int dir, const char *base, const struct stat *old, struct span text)
{
	char temporary[NAME_MAX + 1];
	int fd, rc;

	if (snprintf(temporary, sizeof(temporary), ".%.200s.%ld", base, (long)getpid()) >= (int)sizeof(temporary))
		return -1;
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	rc = old && (fchown(fd, old->st_uid, old->st_gid) < 0 || fchmod(fd, old->st_mode & 0777) < 0) ? -1 : write_all(fd, text);
	close(fd);
	if (rc == 0)
		rc = renameat(dir, temporary, dir, base);
	if (rc < 0)
		unlinkat(dir, temporary, 0);
	else if (fsync(dir) < 0)
		log_warn("the directory could not be written through: %m");
	return rc;
}

static int edit_in(int dir, const char *path, const char *base, const char *name, struct span value)
{
	struct buf old = {0}, new = {0};
	unsigned bad_line = 0;
	struct stat st = {0};
	int fd = openat(dir, base, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0 && errno != ENOENT) {
		log_error("%s cannot be opened: %m", path);
		return -1;
	}
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || read_all(fd, &old) < 0)) {
		log_error("%s cannot be read as a token file: %s", path, strerror(errno ? errno : EINVAL));
		rc = -1;
	} else {
		rc = tokens_is_whole(base) ? edit_whole(dir, base, value, &new) : change(&new, &old, name, value, &bad_line);
		if (bad_line)
			log_error("%s:%u: is no KEY=VALUE line: mend it first", path, bad_line);
		else if (rc < 0)
			log_error("%s: this value cannot be written in a line of a token file", name);
	}
	if (rc > 0 && new.p && replace(dir, base, fd >= 0 ? &st : NULL, buf_span(&new)) < 0) {
		log_error("%s cannot be replaced: %m; it is as it was", path);
		rc = -1;
	}
	if (fd >= 0)
		close(fd);
	buf_deinit(&old);
	buf_deinit(&new);
	return rc;
}

int token_edit(const char *path, const char *name, struct span value)
{
	char real[PATH_MAX], folder[PATH_MAX];
	char *slash;
	int dir, rc;

	/* what a link points to is changed, not the link */
	if (!realpath(path, real) && snprintf(real, sizeof(real), "%s%s", strchr(path, '/') ? "" : "./", path) >= (int)sizeof(real)) {
		log_error("%s: the path is too long", path);
		return -1;
	}
	strcpy(folder, real);
	slash = strrchr(folder, '/');
	*slash = '\0';
	if (slash == folder)
		strcpy(folder, "/");
	if (value.p && mkdir(folder, 0700) < 0 && errno != EEXIST) {
		log_error("%s cannot be made: %m", folder);
		return -1;
	}
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || flock(dir, LOCK_EX) < 0) {
		log_error("%s cannot be opened: %m", folder);
		rc = -1;
	} else {
		rc = edit_in(dir, path, strrchr(real, '/') + 1, name, value);
	}
	if (dir >= 0)
		close(dir);
	return rc;
}
