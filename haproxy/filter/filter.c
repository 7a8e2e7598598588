/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The callbacks, in the order in which HAProxy calls them.
 */
#include "filter.h"

static int attach(struct stream *s, struct filter *f)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	(void)s;
	if (!flow)
		return -1; /* 0 would let the stream pass without us */
	flow->conf = FLT_CONF(f);
	f->ctx = flow;
	return 1;
}

static void detach(struct stream *s, struct filter *f)
{
	struct flow *flow = f->ctx;

	(void)s;
	if (!flow)
		return;
	for (int dir = REQ; dir <= RES; dir++) {
		buf_deinit(&flow->side[dir].head);
		buf_deinit(&flow->side[dir].rest);
	}
	free(flow);
	f->ctx = NULL;
}

/* An exchange's deadline has come: without an event of its own the stream would only renew its timers. */
static void check_timeouts(struct stream *s, struct filter *f)
{
	struct flow *flow = f->ctx;

	for (int dir = REQ; dir <= RES; dir++) {
		const struct ask *ask = &flow->side[dir].ask;

		if (tick_is_expired(ask->running ? ask->deadline : ask->next, now_ms) && (ask->running || ask->pending))
			s->pending_events |= TASK_WOKEN_MSG;
	}
}

static int http_payload(struct stream *s, struct filter *f, struct http_msg *msg, unsigned offset, unsigned len)
{
	return message_payload(s, f, msg, offset, len);
}

/* All of the message was decided and marked for output. */
static int http_end(struct stream *s, struct filter *f, struct http_msg *msg)
{
	struct flow *flow = f->ctx;

	(void)s;
	flow->side[(msg->chn->flags & CF_ISRESP) ? RES : REQ].complete = true;
	return 1;
}

/* Called just before HAProxy forwards a 1xx head by itself, past all rules and filters: it leaves as its bare status. */
static void http_reset(struct stream *s, struct filter *f, struct http_msg *msg)
{
	struct htx *htx = htxbuf(&msg->chn->buf);

	(void)f;
	if (!(msg->chn->flags & CF_ISRESP) || STREAM_TXN(s)->status < 100 || STREAM_TXN(s)->status > 199)
		return;
	head_strip(htx);
	if (head_standard_reason(htx) < 0)
		channel_htx_truncate(msg->chn, htx);
}

/* A tunnel's data. There are no tunnels here: what comes after the end of a message is nobody's. */
static int tcp_payload(struct stream *s, struct filter *f, struct channel *chn, unsigned offset, unsigned len)
{
	(void)s;
	(void)f;
	(void)chn;
	(void)offset;
	return len ? -1 : 0;
}

/* Once a direction was stopped its channel looks closed whatever its sender did. */
static bool has_input_ended(const struct side *side, struct channel *chn)
{
	return side->ended ? side->input_ended : compat_input_closed(chn) || compat_input_failed(chn);
}

static const char *how_it_ended(struct stream *s, const struct flow *flow, int dir)
{
	const struct side *side = &flow->side[dir];
	struct channel *chn;

	/* of a response that had no exchange, or none with anything to audit, only the request's END tells */
	if (dir == REQ && side->complete)
		side = &flow->side[dir = RES];
	chn = dir == REQ ? &s->req : &s->res;
	if (side->complete)
		return "complete";
	if (side->cut)
		return "cut";
	if (chn->flags & (CF_READ_TIMEOUT | CF_WRITE_TIMEOUT))
		return "timeout";
	if (has_input_ended(side, chn))
		return dir == REQ ? "client_abort" : "server_abort";
	if (compat_output_closed(chn))
		return dir == REQ ? "server_abort" : "client_abort";
	return "cut";
}

/* HAProxy stops looking at the channel, and would forward what is in the buffer, and what still comes, as it is. */
static void stop_channel(struct stream *s, struct flow *flow, struct channel *chn, int dir)
{
	struct side *side = &flow->side[dir];
	struct htx *htx = htxbuf(&chn->buf);

	side->input_ended = has_input_ended(side, chn);
	if (side->ask.pending)
		ask_cancel(s, flow, dir);
	if (htx->data > co_data(chn))
		channel_htx_truncate(chn, htx);
	if (side->complete)
		return;
	compat_stop_input(chn);
	if (dir == REQ)
		channel_abort(chn);
	if (!side->head_left)
		return;
	/* part of it has left: the peer must see that it is a part */
	if (htx->flags & HTX_FL_EOM)
		htx->flags &= ~HTX_FL_EOM;
	channel_abort(chn);
	if (!side->reset)
		compat_reset_peer(dir == REQ ? s->scb : s->scf);
	side->reset = true;
}

static int channel_end_analyze(struct stream *s, struct filter *f, struct channel *chn)
{
	struct flow *flow = f->ctx;
	int dir = (chn->flags & CF_ISRESP) ? RES : REQ;
	struct side *side = &flow->side[dir];
	const char *how;

	if (!side->ended) {
		stop_channel(s, flow, chn, dir);
		side->ended = true;
	}
	/* The agent knows from its own answer when a request was refused or a response came to its end, and a request of which
	 * nothing is in the audit log needs no end there. */
	if (!side->seq || !flow->audited || flow->told)
		return 1;
	how = how_it_ended(s, flow, dir);
	if (!side->ask.running && strcmp(how, "complete") == 0 && ended_put(flow, dir))
		return 1;
	return ask_end(s, flow, dir, how) ? 1 : 0;
}

struct flt_ops slapenir_ops = {
	.check = conf_check,
	.deinit = conf_deinit,

	.attach = attach,
	.detach = detach,
	.check_timeouts = check_timeouts,

	.channel_end_analyze = channel_end_analyze,

	.http_headers = message_headers,
	.http_payload = http_payload,
	.http_end = http_end,
	.http_reset = http_reset,

	.tcp_payload = tcp_payload,
};
