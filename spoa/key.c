/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "log.h"
#include "state.h"

static int key_read(uint8_t key[KEY_BYTES], const char *path)
{
	uint8_t more;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, key, KEY_BYTES);
	if (n == KEY_BYTES && read(fd, &more, 1) != 0)
		n = -1;
	close(fd);
	if (n == KEY_BYTES)
		return 0;
	errno = EINVAL;
	return -1;
}

/* Written beside and linked, so that nobody ever reads half a key; link() fails when another was first, and that one counts. */
static int key_make(const char *path)
{
	uint8_t key[KEY_BYTES];
	char beside[PATH_MAX];
	int fd, rc = -1;

	if (snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid()) >= (int)sizeof(beside) ||
	    getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -1;
	unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (write(fd, key, sizeof(key)) == (ssize_t)sizeof(key) && fsync(fd) == 0)
		rc = link(beside, path) == 0 || errno == EEXIST ? 0 : -1;
	explicit_bzero(key, sizeof(key));
	close(fd);
	unlink(beside);
	return rc;
}

int key_load(uint8_t key[KEY_BYTES], const char *option, const char *state)
{
	const char *given = option ? option : getenv("SLAPENIR_KEY_FILE");
	char path[PATH_MAX];

	if (given && *given) {
		if (key_read(key, given) == 0)
			return 0;
		log_error("%s: a placeholder key is a file of exactly %d bytes: %s; make one with `head -c %d /dev/urandom`", given,
		          KEY_BYTES, errno == EINVAL ? "it has another length" : strerror(errno), KEY_BYTES);
		return -1;
	}
	if (state_path(path, sizeof(path), state, STATE_PLACEHOLDER_KEY) < 0) {
		log_error("%s: %m", state);
		return -1;
	}
	if (key_read(key, path) == 0)
		return 0;
	if (errno == ENOENT && state_create(state) == 0 && key_make(path) == 0 && key_read(key, path) == 0)
		return 0;
	log_error("%s: %s", path, errno == EINVAL ? "is not a key of 32 bytes; restore it, or remove it to make new placeholders"
	                                          : strerror(errno));
	return -1;
}
