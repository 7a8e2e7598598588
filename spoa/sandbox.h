/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a worker may do once it serves: read and write what it has inherited, accept, manage its own memory, exit. No file can be
 * opened, no socket made or connected, no process started; anything else kills it (and the master starts another).
 */
#ifndef SLAPENIR_SANDBOX_H
#define SLAPENIR_SANDBOX_H

#include <sys/types.h>

struct sandbox_user {
	uid_t uid; /* (uid_t)-1: stay who we are */
	gid_t gid;
};

/* The user that workers become: `slapenir` if it exists, else `nobody`; nobody else when we are not root. */
struct sandbox_user sandbox_worker_user(void);

/* HAProxy's user, who owns what it must reach. */
struct sandbox_user sandbox_haproxy_user(void);

/* Call last, with everything opened. -1: the reason is logged, the process must end. */
int sandbox_enter(struct sandbox_user user, pid_t parent) __attribute__((warn_unused_result));

#endif
