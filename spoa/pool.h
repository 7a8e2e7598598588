/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The master's workers. A *crew* is N workers with the same generations and listeners; a reload starts a second crew, and when
 * all of it serves, the first is drained. A worker that dies is started again at once, later and later when it dies of
 * itself again and again; one that is silent for a second is killed.
 */
#ifndef SLAPENIR_POOL_H
#define SLAPENIR_POOL_H

#include <ev.h>

#include "buf.h"
#include "ipc.h"
#include "worker.h"

struct pool;

struct pool_events { /* ctx is the owner's */
	void *ctx;
	void (*audit)(void *ctx, const uint8_t *event, size_t len); /* one encoded event */
	bool (*settle)(void *ctx);                                  /* after each pass over all pipes; true: make another soon */
	void (*crew_ready)(void *ctx);                              /* all workers of the newest crew have answered */
};

/* loop: the default loop, as it waits for children. */
struct pool *pool_new(struct ev_loop *loop, unsigned workers, const struct pool_events *events);
void pool_free(struct pool *p); /* kills what is left */

/* Starts another crew. The setup and its array of generations are copied; what they point to must live as
 * long as pool_uses() says so.
 * -1: no worker could be started. */
int pool_crew_start(struct pool *p, const struct worker_setup *setup) __attribute__((warn_unused_result));

/* Drains all crews but the newest; with all: that one too. */
void pool_drain_old(struct pool *p, bool all);

/* The newest crew did not come up: kill it, and the one before it is the newest again. */
void pool_crew_abandon(struct pool *p);

bool pool_idle(const struct pool *p); /* no worker is left */

/* To all workers. */
void pool_tell(struct pool *p, enum ipc_message what, struct span argument);

/* Does any crew use this generation? */
bool pool_uses(const struct pool *p, const struct policy *generation);

struct pool_worker {
	int pid;
	unsigned number;
	const char *phase; /* starting, serving, draining */
	uint64_t silent_ms, age_ms;
	struct ipc_figures figures;
};
/* The i-th living worker; false: there are no more. */
bool pool_worker(const struct pool *p, size_t i, struct pool_worker *w);
uint64_t pool_restarts(const struct pool *p);

#endif
