/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A message on its way: head and first chunk to the agent, then chunk by chunk, then trailers. Both directions are the
 * same, but that a request's body may be held whole.
 */
#include "filter.h"

enum { MAX_PATIENCE = 4 };

enum go { GO_STOP = -1, GO_WAIT, GO_ON };

/* The bytes of the message that the filter may look at: `len` of them from `offset` of the buffer on. */
struct window {
	struct stream *s;
	struct flow *flow;
	struct filter *f; /* NULL while the head is held: nothing was counted yet */
	struct http_msg *msg;
	struct side *side;
	int dir;
	size_t offset, len;
};

static struct htx *htx_of(const struct window *w)
{
	return htxbuf(&w->msg->chn->buf);
}

/* While the head is held: the body is all that follows it. */
static void find_body(struct window *w)
{
	w->offset = co_data(w->msg->chn) + http_get_hdrs_size(htx_of(w));
	w->len = htx_of(w)->data - w->offset;
}

static bool is_closed(const struct window *w)
{
	return w->side->until_close && compat_input_closed(w->msg->chn);
}

static enum go stop_with(const struct window *w, enum refusal_code code)
{
	refuse_code(w->s, w->flow, w->dir, code);
	return GO_STOP;
}

static void look(const struct window *w, struct view *v, size_t limit)
{
	size_t avail = w->len > w->side->decided ? w->len - w->side->decided : 0;

	body_view(v, htx_of(w), w->offset + w->side->decided, avail, limit, is_closed(w));
}

static size_t limit_of(const struct side *side, size_t head_len)
{
	ssize_t room = ask_room(side, head_len);

	return room > 0 ? (size_t)room : 0;
}

/* The buffer's size changed by `delta` bytes that the filters before us have let pass. */
static void resized(struct window *w, long delta)
{
	w->len = (size_t)((long)w->len + delta);
	if (w->f && delta)
		flt_update_offsets(w->f, w->msg->chn, (int)delta);
}

static unsigned base_flags(const struct window *w)
{
	struct side *side = w->side;
	unsigned flags = EXCHANGE_F_PATCHES;

	/* what is not said to be verified TLS is treated as the open net */
	if (!span_is(flow_var(w->s, "txn.scheme"), "https"))
		flags |= EXCHANGE_F_PLAIN;
	if (w->dir == RES && STREAM_TXN(w->s)->meth == HTTP_METH_HEAD)
		flags |= EXCHANGE_F_HEAD_REQUEST;
	if (side->head_left && (w->msg->flags & HTTP_MSGF_CNT_LEN))
		flags |= EXCHANGE_F_LENGTH_PROMISED;
	return flags;
}

/* --- answers --- */

static enum go refused(const struct window *w, const struct answer *a)
{
	struct refusal_body why;

	w->flow->told = true;
	if (refusal_decode(&why, a->payload) < 0)
		return stop_with(w, REFUSAL_AGENT_UNAVAILABLE);
	/* then this is not recorded either; what was recorded before waits for an end */
	if (span_is(why.code, refusal_get(REFUSAL_AUDIT_UNAVAILABLE)->code))
		w->flow->told = false;
	shapes_verdicts_forget(w->flow);
	refuse(w->s, w->flow, w->dir, &why);
	return GO_STOP;
}

static void remember(const struct window *w, const struct answer *a)
{
	struct side *side = w->side;

	if (w->dir == REQ && !w->flow->has_gen) {
		memcpy(w->flow->gen, a->gen, sizeof(a->gen));
		w->flow->has_gen = true;
	}
	side->carry_len = (uint8_t)a->carry.len;
	memcpy(side->carry, a->carry.p, a->carry.len);
	if (a->scope.len) {
		side->scope_len = (uint16_t)a->scope.len;
		memcpy(side->scope, a->scope.p, a->scope.len);
	}
	if (a->flags & ANSWER_F_AUDITED)
		w->flow->audited = true;
	if (a->flags & ANSWER_F_OPAQUE)
		side->opaque = true;
	if (w->dir == RES && (side->ask.flags & EXCHANGE_F_EOM) && !(side->ask.flags & EXCHANGE_F_TRAILERS_FOLLOW) &&
	    !(a->flags & ANSWER_F_RESCAN))
		w->flow->told = true;
}

static void note_canary(const struct window *w, const struct answer *a, bool credential)
{
	if (w->dir == REQ && credential && w->flow->conf->canary &&
	    span_is(flow_var(w->s, "txn.host"), w->flow->conf->canary))
		w->flow->canary_sent = true;
	if (w->dir == RES && w->flow->canary_sent && a->payload.len)
		fetch_set_ready();
}

static enum go take_head(struct window *w, const struct answer *a)
{
	struct side *side = w->side;
	unsigned flags = side->ask.flags;
	bool credential = false;

	side->head_sent = true;
	buf_deinit(&side->head);
	if (a->flags & ANSWER_F_CACHE)
		shapes_verdict_learn(w->flow, w->dir, flow_var(w->s, "txn.agent"), flow_var(w->s, "txn.host"), a->gen, side->ask.epoch);
	if (flags & EXCHANGE_F_LATE_HEAD)
		return GO_ON;
	if (head_apply(htx_of(w), a, &credential) < 0)
		return stop_with(w, REFUSAL_TOO_LARGE);
	note_canary(w, a, credential);
	if (!side->length_may_change)
		return GO_ON;
	if (flags & EXCHANGE_F_HEAD_REQUEST)
		head_remove(htx_of(w), "content-length");
	else if (!(flags & EXCHANGE_F_BODYLESS) && !side->whole && head_make_chunked(w->s, w->msg) < 0)
		return stop_with(w, REFUSAL_TOO_LARGE);
	return GO_ON;
}

static enum go take_trailers(struct window *w, const struct answer *a)
{
	struct htx *htx = htx_of(w);
	struct view v;
	int delta;

	look(w, &v, 0);
	if (!v.trailers || trailers_apply(htx, v.next, buf_span(&w->side->head), a, &delta) < 0)
		return stop_with(w, REFUSAL_TOO_LARGE);
	buf_deinit(&w->side->head);
	resized(w, delta);
	w->side->decided = w->len;
	return GO_ON;
}

/* The consumed bytes make way for `payload`. Returns how much of it stands there now, -1: it must not, or memory is out. */
static ssize_t replace_chunk(struct window *w, const struct answer *a, struct span payload)
{
	struct htx *htx = htx_of(w);
	size_t before = htx->data;
	ssize_t stands;

	if ((w->msg->flags & HTTP_MSGF_CNT_LEN) && !w->side->length_may_change && payload.len != a->consumed)
		return -1;
	stands = body_replace(htx, w->offset + w->side->decided, a->consumed, payload, &w->side->rest);
	resized(w, (long)htx->data - (long)before);
	return stands;
}

/* The chunk's consumed bytes, or what replaces them, become decided. */
static enum go take_chunk(struct window *w, const struct answer *a)
{
	struct side *side = w->side;
	struct htx *htx = htx_of(w);
	struct view v;
	ssize_t stands;

	if ((a->flags & ANSWER_F_PAYLOAD) && !(a->flags & ANSWER_F_PATCHED)) {
		stands = replace_chunk(w, a, a->payload);
	} else {
		stands = body_patch(htx, w->offset + side->decided, a->consumed, a->payload);
		if (stands >= 0 && side->rest.len) { /* must not overtake what waits */
			look(w, &v, a->consumed);
			stands = replace_chunk(w, a, v.bytes);
		}
	}
	if (stands < 0)
		return stop_with(w, REFUSAL_AGENT_UNAVAILABLE);
	side->decided += (size_t)stands;
	side->seen = a->flags & ANSWER_F_RESCAN ? 0 : side->ask.chunk_len - a->consumed;
	/* something must carry the end of the message */
	if (htx_is_empty(htx) && (htx->flags & HTX_FL_EOM) && !side->rest.len && htx_add_endof(htx, HTX_BLK_EOT)) {
		resized(w, 1);
		side->decided++;
	}
	look(w, &v, side->seen);
	side->held_here = clean_explains(w->flow, side, v.bytes);
	return GO_ON;
}

static enum go take_answer(struct window *w, const struct answer *a)
{
	struct side *side = w->side;
	unsigned flags = side->ask.flags;
	enum go go = GO_ON;

	if (a->verdict != ANSWER_PASS)
		return refused(w, a);
	if ((flags & EXCHANGE_F_FULL) && side->ask.chunk_len && !a->consumed && !(a->flags & ANSWER_F_OPAQUE))
		return stop_with(w, REFUSAL_PATTERN_TOO_LONG);
	remember(w, a);
	if (flags & EXCHANGE_F_TRAILERS)
		return take_trailers(w, a);
	if (!(flags & EXCHANGE_F_HEAD))
		note_canary(w, a, false);
	if ((flags & EXCHANGE_F_HEAD) && !(flags & EXCHANGE_F_LATE_HEAD) && (a->flags & ANSWER_F_CHUNKED))
		side->length_may_change = true;
	if (flags & EXCHANGE_F_HEAD) {
		/* before the chunk, which takes what room there is */
		go = take_head(w, a);
		if (!w->f)
			find_body(w);
	}
	return go == GO_ON ? take_chunk(w, a) : go;
}

static enum go step_ask(struct window *w)
{
	struct side *side = w->side;
	struct answer a;
	struct view v;
	enum go go = GO_STOP;

	look(w, &v, side->ask.chunk_len);
	if (v.bytes.len != side->ask.chunk_len) /* never: bytes that are not decided stay */
		return stop_with(w, REFUSAL_AGENT_UNAVAILABLE);
	switch (ask_step(w->s, w->flow, w->dir, v.bytes, &a)) {
	case ASK_WAIT:
		return GO_WAIT;
	case ASK_ANSWERED:
		go = take_answer(w, &a);
		break;
	case ASK_FAILED:
		go = stop_with(w, REFUSAL_AGENT_UNAVAILABLE);
		break;
	}
	ask_release(w->s, w->dir);
	return go;
}

/* --- bodies --- */

static enum go flush_rest(struct window *w)
{
	struct side *side = w->side;
	struct span left = span_of(side->rest.p + side->rest_sent, side->rest.len - side->rest_sent);
	size_t n = body_insert(htx_of(w), w->offset + side->decided, left);

	side->rest_sent += n;
	side->decided += n;
	resized(w, (long)n);
	if (side->rest_sent < side->rest.len) {
		w->msg->chn->flags |= CF_WAKE_WRITE;
		/* what is marked for output may be sent within this very pass, which wakes nobody */
		if (n)
			task_wakeup(w->s->task, TASK_WOKEN_MSG);
		return GO_WAIT;
	}
	buf_deinit(&side->rest);
	side->rest_sent = 0;
	return GO_ON;
}

/* The server's close ended the body; towards the client, where it is chunked by now, an end must be said. */
static enum go mark_end(struct window *w)
{
	struct htx *htx = htx_of(w);

	if (!is_closed(w) || !(w->msg->flags & HTTP_MSGF_XFER_LEN) || (htx->flags & HTX_FL_EOM) ||
	    b_is_null(&w->msg->chn->buf) || !htx_add_endof(htx, HTX_BLK_EOT))
		return GO_WAIT;
	htx->flags |= HTX_FL_EOM;
	htx_to_buf(htx, &w->msg->chn->buf);
	resized(w, 1);
	w->side->decided++;
	return GO_ON;
}

/* EOM, and whether that is the end of the message too. */
static unsigned end_flags(const struct view *v)
{
	if (!v->end)
		return 0;
	return EXCHANGE_F_EOM | (v->next && htx_get_blk_type(v->next) == HTX_BLK_TLR ? EXCHANGE_F_TRAILERS_FOLLOW : 0u);
}

/* Nothing of the body is left: its trailers, or the mark that stands for none. */
static enum go finish(struct window *w, const struct view *v)
{
	struct side *side = w->side;
	struct buf trailers = {0};

	if (v->mark) {
		side->decided++;
		return GO_ON;
	}
	if (!v->trailers)
		return mark_end(w);
	if (!trailers_are_clean(htx_of(w), v->next, w->dir))
		return stop_with(w, REFUSAL_NONE);
	if (trailers_serialize(&trailers, htx_of(w), v->next) < 0 || ask_room(side, trailers.len) < 0) {
		buf_deinit(&trailers);
		return stop_with(w, REFUSAL_TOO_LARGE);
	}
	if (shapes_head_is_clean(w->flow, buf_span(&trailers))) {
		buf_deinit(&trailers);
		side->decided = w->len;
		return GO_ON;
	}
	if (!side->head_sent) {
		/* the agent must have judged the head before it can say anything of what ends it */
		buf_deinit(&trailers);
		ask_begin(w->flow, w->dir, base_flags(w) | EXCHANGE_F_HEAD | EXCHANGE_F_LATE_HEAD, 0);
		return GO_ON;
	}
	buf_deinit(&side->head);
	side->head = trailers;
	ask_begin(w->flow, w->dir, base_flags(w) | EXCHANGE_F_TRAILERS | EXCHANGE_F_EOM, 0);
	return GO_ON;
}

/* No byte can come to the chunk before some of it goes. */
static bool cannot_grow(const struct window *w, const struct view *v, size_t limit)
{
	struct channel *chn = w->msg->chn;
	const struct htx *htx = htx_of(w);

	if (v->bytes.len >= limit)
		return true;
	return !co_data(chn) && !w->side->decided && w->offset + w->len == htx->data &&
	       channel_htx_full(chn, htx, (unsigned)global.tune.maxrewrite);
}

/* HAProxy reads as much as fits, and the little that did not fit follows at once: big and tiny chunks would alternate for
 * ever. So a tiny one after a big one is let grow for a moment. */
static bool let_grow(struct window *w, const struct view *v, size_t limit)
{
	struct side *side = w->side;

	if (v->end || v->bytes.len >= limit / 2 || side->last_chunk <= limit / 2 || side->patience >= MAX_PATIENCE)
		return false;
	side->patience++;
	task_wakeup(w->s->task, TASK_WOKEN_MSG);
	return true;
}

static enum go ask_chunk(struct window *w, const struct view *v, size_t limit)
{
	struct side *side = w->side;
	bool late = !side->head_sent, full = cannot_grow(w, v, limit);
	unsigned flags = base_flags(w);

	/* nothing new since the agent decided to hold these */
	if (v->bytes.len <= side->seen && (!v->end || side->seen_end) && (!full || side->seen_full))
		return GO_WAIT;
	if (!full && let_grow(w, v, limit))
		return GO_WAIT;
	side->patience = 0;
	side->last_chunk = v->bytes.len;
	side->seen_end = v->end;
	side->seen_full = full;
	if (late)
		flags |= EXCHANGE_F_HEAD | EXCHANGE_F_LATE_HEAD;
	flags |= end_flags(v);
	if (full && !v->end)
		flags |= EXCHANGE_F_FULL;
	ask_begin(w->flow, w->dir, flags, v->bytes.len);
	return GO_ON;
}

/* Nothing has come behind what is held here, and more may come. */
static bool waits_here(const struct window *w, const struct view *v, size_t limit)
{
	return w->side->held_here && v->bytes.len <= w->side->seen && !v->end && !cannot_grow(w, v, limit);
}

/* One step of a body whose head is released, or held and allowed. */
static enum go step_body(struct window *w)
{
	struct side *side = w->side;
	size_t limit = limit_of(side, side->head_sent ? 0 : side->head.len), pass;
	struct view v;

	if (side->ask.pending)
		return step_ask(w);
	if (side->rest.len && side->phase != PHASE_HOLD && flush_rest(w) == GO_WAIT)
		return GO_WAIT;
	look(w, &v, limit);
	if (!v.bytes.len && !v.more)
		return v.end && !side->rest.len ? finish(w, &v) : GO_WAIT;
	if (side->opaque) {
		side->decided += v.bytes.len;
		return GO_ON;
	}
	if (v.bytes.len && waits_here(w, &v, limit))
		return GO_WAIT;
	/* what is held until nothing more finds room is for the agent to refuse */
	if (v.bytes.len && clean_judge(w->flow, side, &v, &pass) && (pass || !cannot_grow(w, &v, limit))) {
		clean_pass(side, &v, pass);
		return GO_ON;
	}
	return ask_chunk(w, &v, limit);
}

/* The message ended before its end, and what is held will never be decided. */
static bool ended_early(const struct window *w)
{
	const struct htx *htx = htx_of(w);

	return !w->side->until_close && compat_input_closed(w->msg->chn) && !(htx->flags & HTX_FL_EOM) &&
	       !w->side->ask.pending && !w->side->rest.len && w->offset + w->len == htx->data;
}

int message_payload(struct stream *s, struct filter *f, struct http_msg *msg, unsigned offset, unsigned len)
{
	struct flow *flow = f->ctx;
	int dir = (msg->chn->flags & CF_ISRESP) ? RES : REQ;
	struct window w = {s, flow, f, msg, &flow->side[dir], dir, offset, len};
	size_t forward;
	enum go go;

	if (w.side->cut)
		return -1;
	while ((go = step_body(&w)) == GO_ON)
		;
	if (go == GO_STOP)
		return -1;
	forward = MIN(w.side->decided, w.len);
	if (!forward && ended_early(&w)) {
		compat_reset_peer(dir == RES ? s->scf : s->scb);
		w.side->reset = true;
		return -1;
	}
	/* were all of the buffer marked for output, HAProxy would take the message for ended */
	if (forward && w.side->rest.len && offset + forward == htxbuf(&msg->chn->buf)->data)
		forward--;
	w.side->decided -= forward;
	if (w.side->came_chunked && !w.side->ask.pending)
		compat_read_again(msg->chn);
	if (forward)
		compat_send_now(msg->chn);
	else
		compat_make_room(msg->chn, htxbuf(&msg->chn->buf));
	return (int)forward;
}

/* --- heads --- */

static bool fits_whole(const struct window *w, size_t limit)
{
	const struct htx *htx = htx_of(w);
	const struct htx_blk *blk = head_find(htx_of(w), "content-length");
	size_t room = htx_free_data_space(htx), reserve = (size_t)global.tune.maxrewrite + 64;
	size_t capacity = w->len + (room > reserve ? room - reserve : 0), length = 0;
	struct ist v;

	if (!(w->msg->flags & HTTP_MSGF_CNT_LEN) || !blk)
		return false;
	v = htx_get_blk_value(htx, blk);
	for (size_t i = 0; i < v.len; i++) {
		if (!isdigit((unsigned char)v.ptr[i]) || length > limit)
			return false;
		length = 10 * length + (size_t)(v.ptr[i] - '0');
	}
	return length <= limit && length <= capacity;
}

/* First look at a head. */
static enum go start(struct window *w)
{
	struct htx *htx = htx_of(w);
	struct http_txn *txn = STREAM_TXN(w->s);
	struct side *side = w->side;
	struct view v;

	if (txn->meth == HTTP_METH_CONNECT || (w->dir == REQ && (w->msg->flags & HTTP_MSGF_CONN_UPG)) ||
	    (w->dir == RES && txn->status == 101))
		return stop_with(w, REFUSAL_UPGRADE_REFUSED);
	if (!head_is_clean(htx, w->dir))
		return stop_with(w, REFUSAL_NONE);
	if (w->dir == RES && head_standard_reason(htx) < 0)
		return stop_with(w, REFUSAL_TOO_LARGE);
	if (w->dir == REQ && head_remove(htx, "expect"))
		side->expects_100 = (w->msg->flags & HTTP_MSGF_VER_11) && !(htx->flags & HTX_FL_EOM);
	side->came_chunked = w->msg->flags & HTTP_MSGF_TE_CHNK;
	side->until_close = !(w->msg->flags & HTTP_MSGF_XFER_LEN);
	find_body(w);
	if (head_serialize(&side->head, htx, w->dir) < 0 || ask_room(side, side->head.len) < 0)
		return stop_with(w, REFUSAL_TOO_LARGE);
	look(w, &v, limit_of(side, side->head.len));
	if (v.bytes.len && side->expects_100)
		side->expects_100 = false; /* it did not wait */
	if (w->dir == REQ && (v.bytes.len || !v.end))
		side->whole = (v.end && !v.trailers) || fits_whole(w, limit_of(side, side->head.len));
	side->phase = side->whole && !side->expects_100 ? PHASE_GATHER : PHASE_HEAD;
	return GO_ON;
}

/* Waits until a body that is to be judged whole is there. */
static enum go gather(struct window *w, size_t limit)
{
	struct channel *chn = w->msg->chn;
	struct htx *htx = htx_of(w);
	struct view v;

	look(w, &v, limit);
	if (v.end)
		return GO_ON;
	if (compat_input_failed(chn) || compat_input_closed(chn) || (htx->flags & (HTX_FL_PARSING_ERROR | HTX_FL_PROCESSING_ERROR)))
		return GO_STOP;
	if (v.more || channel_htx_full(chn, htx, (unsigned)global.tune.maxrewrite)) {
		w->side->whole = false; /* it does not fit after all: stream it */
		return GO_ON;
	}
	return GO_WAIT;
}

/* A clean head that needs no verdict of its own, and a clean beginning of its body. */
static bool passes_here(struct window *w, const struct view *v)
{
	struct side *side = w->side;
	size_t pass = 0;

	if (!shapes_verdict_known(w->flow, w->dir, flow_var(w->s, "txn.agent"), flow_var(w->s, "txn.host")) ||
	    !shapes_head_is_clean(w->flow, buf_span(&side->head)))
		return false;
	if (v->bytes.len && !clean_judge(w->flow, side, v, &pass))
		return false;
	clean_pass(side, v, pass);
	return true;
}

static void ask_head(struct window *w, const struct view *v)
{
	struct side *side = w->side;
	size_t chunk = side->expects_100 ? 0 : v->bytes.len;
	unsigned flags = base_flags(w) | EXCHANGE_F_HEAD;

	if (!v->bytes.len && v->end && !v->trailers)
		flags |= EXCHANGE_F_BODYLESS;
	if (!side->expects_100)
		flags |= end_flags(v) | (v->end && side->whole ? EXCHANGE_F_WHOLE : 0u);
	side->seen_end = flags & EXCHANGE_F_EOM;
	side->last_chunk = chunk;
	ask_begin(w->flow, w->dir, flags, chunk);
}

static enum go step_head(struct window *w)
{
	struct side *side = w->side;
	enum go go;

	if (!side->ask.pending) {
		struct view v;

		look(w, &v, limit_of(side, side->head.len));
		if (passes_here(w, &v))
			goto allowed;
		ask_head(w, &v);
	}
	go = step_ask(w);
	if (go != GO_ON)
		return go;
allowed:
	side->phase = side->whole ? PHASE_HOLD : PHASE_BODY;
	if (!side->expects_100)
		return GO_ON;
	side->expects_100 = false;
	return head_continue(w->s) < 0 ? GO_STOP : GO_ON;
}

static enum go step_hold(struct window *w)
{
	struct side *side = w->side;
	struct view v;
	enum go go;

	if (!side->ask.pending) {
		go = gather(w, limit_of(side, side->head_sent ? 0 : side->head.len));
		if (go != GO_ON)
			return go;
		if (!side->whole) {
			side->phase = PHASE_BODY;
			if (side->length_may_change && head_make_chunked(w->s, w->msg) < 0)
				return stop_with(w, REFUSAL_TOO_LARGE);
			return GO_ON;
		}
		look(w, &v, SIZE_MAX);
		if (!v.bytes.len) {
			side->phase = PHASE_BODY;
			return GO_ON;
		}
	}
	return step_body(w);
}

/* The head goes, and with it what is decided of the body. */
static int release(struct window *w)
{
	struct side *side = w->side;
	struct htx *htx;

	if (side->whole && head_set_length(w->msg, body_size(htx_of(w)) + side->rest.len) < 0) {
		stop_with(w, REFUSAL_TOO_LARGE);
		return -1;
	}
	side->head_left = true;
	compat_send_now(w->msg->chn);
	htx = htx_of(w);
	find_body(w);
	if ((htx->flags & HTX_FL_EOM) && !side->rest.len && !side->ask.pending) {
		struct view v;

		look(w, &v, SIZE_MAX);
		if (v.mark && !v.bytes.len)
			side->decided++;
		side->complete = side->decided == w->len;
	}
	if (side->complete)
		buf_deinit(&side->head);
	else
		register_data_filter(w->s, w->msg->chn, w->f);
	return 1;
}

int message_headers(struct stream *s, struct filter *f, struct http_msg *msg)
{
	struct flow *flow = f->ctx;
	int dir = (msg->chn->flags & CF_ISRESP) ? RES : REQ;
	struct side *side = &flow->side[dir];
	enum go go = GO_ON;

	while (go == GO_ON) {
		struct window w = {s, flow, NULL, msg, side, dir, 0, 0};

		find_body(&w);
		switch (side->phase) {
		case PHASE_NEW:
			go = start(&w);
			break;
		case PHASE_GATHER:
			go = gather(&w, limit_of(side, side->head.len));
			if (go == GO_ON)
				side->phase = PHASE_HEAD;
			break;
		case PHASE_HEAD:
			go = step_head(&w);
			break;
		case PHASE_HOLD:
			go = step_hold(&w);
			break;
		case PHASE_BODY:
			w.f = f;
			return release(&w);
		}
	}
	if (go == GO_WAIT)
		channel_dont_close(msg->chn);
	return go == GO_WAIT ? 0 : -1;
}
