/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rollout.h"

#include "clock.h"

enum { CREW_START_S = 10, HOLD_S = 60 };

static const char no_shapes[] = "the shapes file cannot be written";

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
		why = no_shapes;
	finish(r, why);
}

static void set_timer(struct rollout *r, double seconds)
{
	ev_timer_stop(r->loop, &r->timer);
	ev_timer_set(&r->timer, seconds, 0.);
	ev_timer_start(r->loop, &r->timer);
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
	set_timer(r, CREW_START_S);
}

static void timer_cb(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct rollout *r = w->data;

	(void)loop;
	(void)events;
	if (r->phase == ROLLOUT_SETTLING && r->held) {
		r->phase = ROLLOUT_SETTLED;
		set_timer(r, HOLD_S);
	} else if (r->phase == ROLLOUT_SETTLING) {
		start_crew(r);
	} else if (r->phase == ROLLOUT_SETTLED) {
		rollout_cancel(r);
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

const char *rollout_prepare(struct rollout *r, struct policy *next)
{
	bool grown;

	if (generations_publish(r->generations, next, &grown) < 0) {
		policy_free(next);
		return no_shapes;
	}
	r->next = next;
	r->held = true;
	r->phase = grown ? ROLLOUT_SETTLING : ROLLOUT_SETTLED;
	set_timer(r, grown ? SHAPES_SETTLE_MS / 1000. : HOLD_S);
	return NULL;
}

void rollout_go(struct rollout *r)
{
	r->held = false;
	if (r->phase == ROLLOUT_SETTLED)
		start_crew(r);
}

void rollout_begin(struct rollout *r, struct policy *next)
{
	const char *why = next ? rollout_prepare(r, next) : NULL;

	if (why) {
		finish(r, why);
		return;
	}
	if (!next)
		r->phase = ROLLOUT_SETTLED;
	rollout_go(r);
}

bool rollout_prepared(const struct rollout *r)
{
	return r->held && rollout_busy(r);
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
		back_out(r, no_shapes);
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
	r->held = false;
	r->phase = ROLLOUT_IDLE;
}
