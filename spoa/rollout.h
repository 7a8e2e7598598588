/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How workers come to serve a generation, at the start and at a reload alike:
 *
 *   publish the union of shapes --> wait until every HAProxy judges by it --> start a crew that holds the new generation and the
 *   old ones --> all of it answers --> publish in the new generation's name --> drain the old crew
 *
 * Whatever fails before the crew answers leaves everything as it was.
 */
#ifndef SLAPENIR_ROLLOUT_H
#define SLAPENIR_ROLLOUT_H

#include <ev.h>

#include "generations.h"
#include "pool.h"

struct rollout {
	struct ev_loop *loop;
	struct generations *generations;
	struct pool *pool;
	void *ctx;
	/* What a new crew is given, but for the generations. */
	void (*setup)(void *ctx, struct worker_setup *setup);
	/* why: NULL when it went well, else static text */
	void (*done)(void *ctx, const char *why);

	/* its own */
	enum { ROLLOUT_IDLE, ROLLOUT_SETTLING, ROLLOUT_SETTLED, ROLLOUT_STARTING } phase;
	struct policy *next; /* not yet a generation */
	bool pushed, held;
	struct ev_timer timer;
};

void rollout_init(struct rollout *r); /* after the fields above were set */

/* next: a compiled policy, which is the rollout's from now on; NULL: a new crew for the generations that there are. done() may be
 * called before this returns. Not while another is under way. */
void rollout_begin(struct rollout *r, struct policy *next);

/* The same in two halves: after prepare() the shapes are published and nothing else has changed; go() does the rest, cancel()
 * forgets it, and so does a minute without either. prepare() returns NULL, or why it failed (next is freed). */
const char *rollout_prepare(struct rollout *r, struct policy *next);
bool rollout_prepared(const struct rollout *r);
void rollout_go(struct rollout *r);

bool rollout_busy(const struct rollout *r);
void rollout_crew_ready(struct rollout *r); /* from the pool */
void rollout_cancel(struct rollout *r);     /* without done() */

#endif
