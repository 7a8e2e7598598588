/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A sandbox of Linux namespaces for one command: a network that holds nothing but loopback, its own processes and /tmp, the file
 * system read-only but for the working directory, and the places that hold real secrets out of sight. Namespaces of
 * network and user are made here; bubblewrap makes the rest.
 */
#ifndef SLAPENIR_JAIL_H
#define SLAPENIR_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { JAIL_PATHS_MAX = 256, JAIL_ENV_MAX = 128 };

struct jail {
	const char *work;                  /* directory that stays writable; the command starts there */
	const char *home;                  /* a directory, and where the command sees it */
	const char *home_inside;
	const char *trust;                 /* directory with ca.pem, seen at JAIL_TRUST inside */
	const char *hidden[JAIL_PATHS_MAX]; /* files and directories that must not be seen: masked when they exist */
	size_t hidden_count;
	const char *writable[JAIL_PATHS_MAX]; /* --bind of the user */
	size_t writable_count;
	const char *env[JAIL_ENV_MAX][2]; /* the whole environment: nothing is inherited */
	size_t env_count;
	char *const *command; /* NULL-terminated */
};

#define JAIL_TRUST "/run/slapenir"

/* Starts a child in new namespaces, which then waits for jail_go(). *listener is a socket that listens on port of
 * 127.0.0.1 of the *child's* network: who serves it is the sandbox's only way out. -1: the reason is logged. */
int jail_prepare(const struct jail *j, unsigned port, pid_t *child, int *go, int *listener) __attribute__((warn_unused_result));

/* Lets the child exec the command. Closes go. */
int jail_go(int go) __attribute__((warn_unused_result));

/* NULL, or why namespaces or bubblewrap cannot be used here, and how to mend it. */
const char *jail_missing(void);

#endif
