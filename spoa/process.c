/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "process.h"

#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	DESCRIPTORS_SPARE = 64, /* of a worker's limit: for all but connections */
	CONNECTIONS_MAX = 16384,
};

unsigned process_raise_limits(void)
{
	struct rlimit lock = {RLIM_INFINITY, RLIM_INFINITY}, files;

	if (geteuid() == 0)
		setrlimit(RLIMIT_MEMLOCK, &lock); /* where even root may not, locking says what is missing */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return DESCRIPTORS_SPARE;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur >= CONNECTIONS_MAX + DESCRIPTORS_SPARE)
		return CONNECTIONS_MAX;
	return files.rlim_cur > 2 * DESCRIPTORS_SPARE ? (unsigned)files.rlim_cur - DESCRIPTORS_SPARE : DESCRIPTORS_SPARE;
}

void process_wipe_environment(void)
{
	static const char *const kept[] = {"PATH=", "HOME=", "LANG=", "TZ=", "XDG_RUNTIME_DIR="};
	char **to = environ;

	for (char **from = environ; from && *from; from++) {
		bool keep = false;

		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			keep = keep || strncmp(*from, kept[i], strlen(kept[i])) == 0;
		if (keep)
			*to++ = *from;
		else
			explicit_bzero(*from, strlen(*from));
	}
	if (to)
		*to = NULL;
}
