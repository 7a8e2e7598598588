/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent's master: holds files, keys and generations, forks the workers and watches them, writes the audit log, obeys the
 * control socket. It never touches a connection of HAProxy's.
 */
#ifndef SLAPENIR_MASTER_H
#define SLAPENIR_MASTER_H

#include "listen.h"

enum { MASTER_LISTEN_MAX = 8, MASTER_WORKERS_MAX = 64 };

struct master_options { /* all outlive it */
	const char *policy, *state; /* state: absolute */
	const char *key;            /* --key, or NULL */
	const char *shapes;         /* --shapes, or NULL: in state */
	const char *listen[MASTER_LISTEN_MAX];
	unsigned listen_count; /* 0: the default socket in state */
	unsigned workers;
	struct listen_tls tls; /* all NULL: none */
};

/* Runs until SIGTERM or SIGINT has drained the workers. Returns the exit status; reasons are logged. */
int master_run(const struct master_options *o);

#endif
