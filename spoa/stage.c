/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 64 * 1024 };

/* Empties the directory open at fd, sub-directories too. */
static int empty_dir(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), sub, rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	while (rc == 0 && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0)
			continue;
		sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		rc = sub < 0 ? -1 : empty_dir(sub);
		if (sub >= 0)
			close(sub);
		if (rc == 0)
			rc = unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
	return rc;
}

static int open_dir_at(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int stage_open(struct stage *s, const char *dir, unsigned mode, const char *const *subdirs, bool clean)
{
	s->next = -1;
	s->group = (gid_t)-1;
	if (clean && mkdir(dir, mode) < 0 && errno != EEXIST)
		return -1;
	s->dir = open_dir_at(AT_FDCWD, dir);
	if (s->dir < 0)
		return -1;
	if (clean && mkdirat(s->dir, "next", 0700) < 0 && errno != EEXIST)
		goto err;
	s->next = open_dir_at(s->dir, "next");
	if (s->next < 0 || (clean && empty_dir(s->next) < 0))
		goto err;
	for (; clean && *subdirs; subdirs++)
		if (mkdirat(s->next, *subdirs, 0700) < 0)
			goto err;
	return 0;
err:
	stage_close(s);
	return -1;
}

static int share(const struct stage *s, const char *name, mode_t mode)
{
	return fchownat(s->next, name, (uid_t)-1, s->group, 0) < 0 || fchmodat(s->next, name, mode, 0) < 0 ? -1 : 0;
}

int stage_share(struct stage *s, gid_t group, const char *const *subdirs)
{
	s->group = group;
	for (; *subdirs; subdirs++)
		if (share(s, *subdirs, 0750) < 0)
			return -1;
	return 0;
}

void stage_close(struct stage *s)
{
	int saved = errno;

	if (s->next >= 0)
		close(s->next);
	close(s->dir);
	errno = saved;
}

int stage_adopt(const struct stage *s, const char *name)
{
	return s->group == (gid_t)-1 ? 0 : share(s, name, 0640);
}

int stage_write(const struct stage *s, const char *name, struct span text)
{
	int fd = openat(s->next, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd < 0)
		return -1;
	if (stage_adopt(s, name) < 0) {
		close(fd);
		return -1;
	}
	while (text.len) {
		n = write(fd, text.p, text.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(fd);
			return -1;
		}
		text = span_of(text.p + n, text.len - (size_t)n);
	}
	return close(fd);
}

int stage_keep(const struct stage *s, const char *name)
{
	return linkat(s->dir, name, s->next, name, 0) < 0 ? -1 : stage_adopt(s, name);
}

int stage_slurp(int at, const char *name, struct buf *out)
{
	int fd = openat(at, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	while (buf_reserve(out, READ_STEP) == 0 && (n = read(fd, out->p + out->len, READ_STEP)) > 0)
		out->len += (size_t)n;
	close(fd);
	return n == 0 ? 0 : -1;
}

bool stage_differs(const struct stage *s, const char *name)
{
	struct buf old = {0}, new = {0};
	bool differs;

	differs = stage_slurp(s->dir, name, &old) < 0 || stage_slurp(s->next, name, &new) < 0 || !span_eq(buf_span(&old), buf_span(&new));
	buf_deinit(&old);
	buf_deinit(&new);
	return differs;
}

static int old_name(char *out, size_t size, const char *name)
{
	if (snprintf(out, size, "old-%s", name) < (int)size)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

static bool is_dir(int at, const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int stage_move(const struct stage *s, const char *name)
{
	char old[64];

	if (old_name(old, sizeof(old), name) < 0)
		return -1;
	/* A file is replaced in one step; a directory cannot replace one that has something in it. */
	if (!is_dir(s->next, name)) {
		if (linkat(s->dir, name, s->next, old, 0) < 0 && errno != ENOENT)
			return -1;
		return renameat(s->next, name, s->dir, name);
	}
	if (renameat(s->dir, name, s->next, old) < 0 && errno != ENOENT)
		return -1;
	if (renameat(s->next, name, s->dir, name) < 0) {
		(void)!renameat(s->next, old, s->dir, name);
		return -1;
	}
	return 0;
}

int stage_undo(const struct stage *s, const char *name)
{
	char old[64];

	if (old_name(old, sizeof(old), name) < 0)
		return -1;
	if (is_dir(s->dir, name) && renameat(s->dir, name, s->next, name) < 0)
		return -1;
	return renameat(s->next, old, s->dir, name);
}
