/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A worker: serves HAProxy's connections until it is drained or its master is gone. It holds no state between frames, so it
 * can be killed at any time.
 */
#ifndef SLAPENIR_WORKER_H
#define SLAPENIR_WORKER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "listen.h"
#include "sandbox.h"

struct audit_log;
struct policy;
struct suspended;

struct worker_setup { /* everything is the master's and outlives the fork */
	const struct listener *listeners;
	unsigned listener_count;
	SSL_CTX *tls;
	const struct policy *const *generations; /* the newest first */
	size_t generation_count;
	const struct suspended *suspended;
	const struct audit_log *audit;
	bool audit_required;
	unsigned max_connections;
	struct sandbox_user user;
};

/* Call in the child. fd: its end of the pair (ipc.h). Everything but that, the listeners and standard error is closed. */
_Noreturn void worker_run(const struct worker_setup *setup, const char *name, int fd, int parent);

#endif
