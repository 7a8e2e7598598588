/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One exchange: the stock action send-spoe-group is called until it is done, its answer is read from a variable and wiped
 * at once. Whatever is not the answer to this very question counts as none.
 */
#include "filter.h"

/* Where the SPOE engines leave the answer: scope txn, the engine's var-prefix, and `answer`. */
static const char *const answer_var[2] = {"txn.slapenir.request.answer", "txn.slapenir.response.answer"};

enum {
	/* of a frame, beside head, chunk and scope: SPOE's own header, the message's name, thirteen names with type and length, agent
	 * and host at their longest, method and path as they are cut for the log */
	FRAME_BUFFER_LESS = 4,
	FRAME_HEADER = 32,
	FRAME_NAMES = 192,
	FRAME_AGENT_HOST = 64 + 260,
	FRAME_METHOD_PATH = 31 + 255,
	FRAME_ENDED = EXCHANGE_ENDED_MAX * EXCHANGE_ENDED_BYTES,
};

ssize_t ask_room(const struct side *side, size_t head_len)
{
	size_t less = FRAME_BUFFER_LESS + FRAME_HEADER + FRAME_NAMES + FRAME_AGENT_HOST + FRAME_METHOD_PATH + FRAME_ENDED + EXCHANGE_ID_BYTES +
		      EXCHANGE_GEN_BYTES + EXCHANGE_CARRY_MAX + head_len;

	/* the scope that an answer brings may be longer than the one there is */
	less += side->head_sent && !head_len ? side->scope_len : EXCHANGE_SCOPE_MAX;
	return (ssize_t)global.tune.bufsize - (ssize_t)less;
}

static struct channel *channel_of(struct stream *s, int dir)
{
	return dir == REQ ? &s->req : &s->res;
}

static void set_timer(struct stream *s, int dir, int tick)
{
	/* `timeout processing` of SPOE is lost after a stream's first exchange before 3.0: this is our own */
	compat_set_timer(channel_of(s, dir), tick);
}

static bool read_var(struct stream *s, int dir, const char *name, struct sample *smp)
{
	memset(smp, 0, sizeof(*smp));
	smp_set_owner(smp, s->be, s->sess, s, (dir == REQ ? SMP_OPT_DIR_REQ : SMP_OPT_DIR_RES) | SMP_OPT_FINAL);
	return vars_get_by_name(name, strlen(name), smp, NULL);
}

struct span flow_var(struct stream *s, const char *name)
{
	struct sample smp;

	if (!read_var(s, REQ, name, &smp) || smp.data.type != SMP_T_STR)
		return span_of(NULL, 0);
	return span_of(smp.data.u.str.area, smp.data.u.str.data);
}

void ask_release(struct stream *s, int dir)
{
	struct sample smp;

	if (!read_var(s, dir, answer_var[dir], &smp))
		return;
	/* the sample points into the variable; a payload may hold a real secret */
	if (smp.data.type == SMP_T_BIN && smp.data.u.str.data)
		explicit_bzero(smp.data.u.str.area, smp.data.u.str.data);
	vars_unset_by_name_ifexist(answer_var[dir], strlen(answer_var[dir]), &smp);
}

void ask_begin(struct flow *flow, int dir, unsigned flags, size_t chunk_len)
{
	struct side *side = &flow->side[dir];

	flow_make_id(flow);
	side->seq++;
	side->ask = (struct ask){
		.pending = true,
		.first = tick_add(now_ms, 0),
		.next = tick_add(now_ms, 0),
		.flags = flags,
		.chunk_len = chunk_len,
		.epoch = shapes_epoch(flow),
	};
	ended_take(flow, &side->ask);
}

/* Does the answer make sense as one to this question? */
static bool fits(const struct side *side, int dir, const struct answer *a)
{
	const struct ask *ask = &side->ask;

	if (a->seq != side->seq)
		return false;
	if (a->verdict != ANSWER_PASS)
		return true;
	if (a->edit_count && !(ask->flags & (EXCHANGE_F_HEAD | EXCHANGE_F_TRAILERS)))
		return false;
	if (a->consumed > ask->chunk_len || (!(a->flags & ANSWER_F_PAYLOAD) && a->payload.len) ||
	    (!a->consumed && a->payload.len))
		return false;
	if ((a->flags & ANSWER_F_PATCHED) && !(a->flags & ANSWER_F_PAYLOAD))
		return false;
	if (a->flags & ANSWER_F_RESCAN)
		return a->consumed > 0;
	/* only requests have bodies that nobody looks at (encoded ones, audited) */
	if (a->flags & ANSWER_F_OPAQUE)
		return dir == REQ && (ask->flags & EXCHANGE_F_HEAD);
	if ((ask->flags & EXCHANGE_F_EOM) && a->consumed != ask->chunk_len)
		return false;
	return true;
}

static bool read_answer(struct stream *s, struct flow *flow, int dir, struct answer *a)
{
	struct sample smp;

	if (!read_var(s, dir, answer_var[dir], &smp) || smp.data.type != SMP_T_BIN ||
	    answer_decode(a, span_of(smp.data.u.str.area, smp.data.u.str.data)) < 0)
		return false;
	return fits(&flow->side[dir], dir, a) && a->verdict != ANSWER_UNKNOWN_GENERATION;
}

/* After a try that brought nothing. The second try follows at once (another worker will do), the last when dead workers are
 * back. */
static bool may_try_again(struct ask *ask)
{
	if (ask->tries >= ASK_TRIES || tick_is_expired(tick_add(ask->first, ASK_ALL_MS), now_ms))
		return false;
	ask->next = tick_add(now_ms, 0);
	if (ask->tries == ASK_TRIES - 1 && tick_is_lt(ask->next, tick_add(ask->first, ASK_LAST_TRY_MS)))
		ask->next = tick_add(ask->first, ASK_LAST_TRY_MS);
	return true;
}

static void start_try(struct stream *s, struct ask *ask, int dir)
{
	ask_release(s, dir);
	ask->running = true;
	ask->tries++;
	ask->deadline = tick_add(now_ms, ASK_TRY_MS);
	if (ask->tries == ASK_TRIES && tick_is_lt(ask->deadline, tick_add(ask->first, ASK_ALL_MS)))
		ask->deadline = tick_add(ask->first, ASK_ALL_MS);
}

/* One call of the action. true: it is done, for better or worse. */
static bool run(struct stream *s, struct act_rule *rule, struct exposed *what, int deadline)
{
	enum act_return ret;

	fetch_expose(what);
	/* FINAL makes the engine give up what it waits for */
	ret = rule->action_ptr(rule, s->be, s->sess, s, tick_is_expired(deadline, now_ms) ? ACT_OPT_FINAL : ACT_OPT_NONE);
	fetch_expose(NULL);
	return ret != ACT_RET_YIELD;
}

enum ask_result ask_step(struct stream *s, struct flow *flow, int dir, struct span chunk, struct answer *answer)
{
	struct ask *ask = &flow->side[dir].ask;
	struct exposed what = {.flow = flow, .dir = dir, .chunk = chunk};

	for (;;) {
		if (!ask->running) {
			if (!tick_is_expired(ask->next, now_ms) && ask->tries) {
				set_timer(s, dir, ask->next);
				return ASK_WAIT;
			}
			start_try(s, ask, dir);
		}
		if (!run(s, flow->conf->exchange[dir], &what, ask->deadline)) {
			set_timer(s, dir, ask->deadline);
			return ASK_WAIT;
		}
		ask->running = false;
		set_timer(s, dir, TICK_ETERNITY);
		if (read_answer(s, flow, dir, answer)) {
			ask->pending = false;
			return ASK_ANSWERED;
		}
		ask_release(s, dir);
		if (!may_try_again(ask)) {
			ended_give_back(ask);
			ask->pending = false;
			return ASK_FAILED;
		}
	}
}

void ask_cancel(struct stream *s, struct flow *flow, int dir)
{
	struct ask *ask = &flow->side[dir].ask;
	struct exposed what = {.flow = flow, .dir = dir};

	if (ask->running)
		run(s, flow->conf->exchange[dir], &what, tick_add(now_ms, 0));
	ask_release(s, dir);
	ended_give_back(ask);
	ask->running = ask->pending = false;
	set_timer(s, dir, TICK_ETERNITY);
}

bool ask_end(struct stream *s, struct flow *flow, int dir, const char *how)
{
	struct ask *ask = &flow->side[dir].ask;
	struct exposed what = {.flow = flow, .dir = dir, .end = how};

	if (!ask->running) {
		ask->running = true;
		ask->deadline = tick_add(now_ms, END_WAIT_MS);
	}
	if (!run(s, flow->conf->end[dir], &what, ask->deadline)) {
		set_timer(s, dir, ask->deadline);
		return false;
	}
	ask->running = false;
	set_timer(s, dir, TICK_ETERNITY);
	return true;
}
