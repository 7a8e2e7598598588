/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rollout.h"

#include "clock.h"

enum { CREW_START_S = 10 };

static void finish(struct rollout *r, const char *why)
{
	ev_timer_stop(r->loop, &r->timer);
	r->phase = ROLLOUT_IDLE;
	if (why && r->next)
		policy_free(r->next);
	r->next = NULL;
	r->pushed = false;
	r->done(r->ctx, why);
}

/* The shapes of what was tried stay published: more than is needed is never wrong, and the next publish takes them off. */
static void back_out(struct rollout *r, const char *why)
{
	bool grown;

	if (r->pushed)
		generations_pop(r->generations);
	if (generations_newest(r->generations) && generations_publish(r->generations, NULL, &grown) < 0)
		why = "the shapes file cannot be written";
	finish(r, why);
}

static void start_crew(struct rollout *r)
{
	struct worker_setup setup = {0};

	if (r->next) {
		generations_push(r->generations, r->next, clock_ms());
		r->next = NULL;
		r->pushed = true;
	}
	r->setup(r->ctx, &setup);
	setup.generations = generations_list(r->generations, &setup.generation_count);
	setup.audit_required = policy_audit_required(generations_newest(r->generations));
	r->phase = ROLLOUT_STARTING;
	if (pool_crew_start(r->pool, &setup) < 0) {
		back_out(r, "no worker can be started");
		return;
	}
	ev_timer_set(&r->timer, CREW_START_S, 0.);
	ev_timer_start(r->loop, &r->timer);
}

static void timer_cb(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct rollout *r = w->data;

	(void)loop;
	(void)events;
	if (r->phase == ROLLOUT_SETTLING) {
		start_crew(r);
	} else {
		pool_crew_abandon(r->pool);
		back_out(r, "the new workers did not answer in time");
	}
}

void rollout_init(struct rollout *r)
{
	ev_init(&r->timer, timer_cb);
	r->timer.data = r;
	r->phase = ROLLOUT_IDLE;
}

void rollout_begin(struct rollout *r, struct policy *next)
{
	bool grown = false;

	r->next = next;
	r->phase = ROLLOUT_SETTLING;
	if (next && generations_publish(r->generations, next, &grown) < 0) {
		finish(r, "the shapes file cannot be written");
		return;
	}
	if (!grown) {
		start_crew(r);
		return;
	}
	ev_timer_set(&r->timer, SHAPES_SETTLE_MS / 1000., 0.);
	ev_timer_start(r->loop, &r->timer);
}

bool rollout_busy(const struct rollout *r)
{
	return r->phase != ROLLOUT_IDLE;
}

void rollout_crew_ready(struct rollout *r)
{
	bool grown;

	if (r->phase != ROLLOUT_STARTING)
		return;
	if (generations_publish(r->generations, NULL, &grown) < 0) {
		pool_crew_abandon(r->pool);
		back_out(r, "the shapes file cannot be written");
		return;
	}
	pool_drain_old(r->pool, false);
	finish(r, NULL);
}

void rollout_cancel(struct rollout *r)
{
	ev_timer_stop(r->loop, &r->timer);
	if (r->next)
		policy_free(r->next);
	r->next = NULL;
	r->phase = ROLLOUT_IDLE;
}
