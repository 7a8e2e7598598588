/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "state.h"
#include "verbs.h"

enum { LINES_DEFAULT = 20, BLOCK = 16 * 1024 };

/* Where the last `lines` lines begin. */
static off_t tail_start(int fd, off_t size, unsigned long lines)
{
	char block[BLOCK];
	off_t at = size;

	while (at > 0) {
		off_t from = at > BLOCK ? at - BLOCK : 0;
		ssize_t n = pread(fd, block, (size_t)(at - from), from);

		if (n <= 0)
			break;
		for (ssize_t i = n - 1; i >= 0; i--)
			if (block[i] == '\n' && from + i + 1 < size && lines-- <= 1)
				return from + i + 1;
		at = from;
	}
	return 0;
}

static void copy(int fd)
{
	char block[BLOCK];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		fwrite(block, 1, (size_t)n, stdout);
	fflush(stdout);
}

/* Goes on with a new file when the log was renamed. */
static void follow(int fd, const char *path)
{
	const struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
	struct stat open_one, named;

	while (!ferror(stdout)) {
		copy(fd);
		nanosleep(&pause, NULL);
		if (fstat(fd, &open_one) == 0 && stat(path, &named) == 0 && open_one.st_ino != named.st_ino) {
			int next = open(path, O_RDONLY | O_CLOEXEC);

			copy(fd);
			if (next >= 0) {
				close(fd);
				fd = next;
			}
		}
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: slapenir logs [-f] [-n LINES] [--state DIR]\n");
	return 2;
}

int verb_logs(int argc, char **argv)
{
	static const struct option options[] = {
		{"state", required_argument, NULL, 's'}, {"follow", no_argument, NULL, 'f'}, {"lines", required_argument, NULL, 'n'}, {0}};
	const char *state_option = NULL;
	char state[PATH_MAX], path[PATH_MAX], *end;
	unsigned long lines = LINES_DEFAULT;
	bool following = false;
	struct stat st;
	int opt, fd;

	while ((opt = getopt_long(argc, argv, "fn:", options, NULL)) != -1) {
		if (opt == 's') {
			state_option = optarg;
		} else if (opt == 'f') {
			following = true;
		} else if (opt == 'n') {
			lines = strtoul(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end)
				return usage();
		} else {
			return usage();
		}
	}
	if (optind < argc)
		return usage();
	if (state_default(state, sizeof(state), state_option) < 0 || state_path(path, sizeof(path), state, STATE_AUDIT_LOG) < 0) {
		fprintf(stderr, "slapenir logs: no usable state directory; give --state DIR\n");
		return 1;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "slapenir logs: %s: %s\n", path, strerror(errno));
		return 1;
	}
	lseek(fd, lines ? tail_start(fd, st.st_size, lines) : st.st_size, SEEK_SET);
	copy(fd);
	if (following)
		follow(fd, path);
	close(fd);
	return 0;
}
