/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Saying no: with a real status while nothing of an answer has left, else by a cut that both sides can see.
 */
#include "filter.h"

/* An HTX response of our own in the place of whatever the channel holds and has not sent. */
static int reply(struct stream *s, const struct refusal_body *why)
{
	struct channel *res = &s->res;
	struct htx *htx;
	char status[4], length[24];
	struct htx_sl *sl;

	if (b_is_null(&res->buf))
		return -1;
	htx = htx_from_buf(&res->buf);
	channel_htx_truncate(res, htx);
	snprintf(status, sizeof(status), "%u", why->status % 1000);
	snprintf(length, sizeof(length), "%zu", why->json.len);
	sl = htx_add_stline(htx, HTX_BLK_RES_SL,
			    HTX_SL_F_IS_RESP | HTX_SL_F_VER_11 | HTX_SL_F_XFER_LEN | HTX_SL_F_CLEN, ist("HTTP/1.1"),
			    ist(status), ist(http_get_reason(why->status)));
	if (!sl)
		goto fail;
	sl->info.res.status = (uint16_t)why->status;
	if ((why->json.len && !htx_add_header(htx, ist("content-type"), ist("application/json"))) ||
	    !htx_add_header(htx, ist("content-length"), ist(length)) ||
	    !htx_add_header(htx, ist("cache-control"), ist("no-store")) ||
	    (why->code.len && !htx_add_header(htx, ist("x-slapenir-code"), ist2((const char *)why->code.p, why->code.len))) ||
	    !htx_add_endof(htx, HTX_BLK_EOH) ||
	    (why->json.len && !htx_add_data_atonce(htx, ist2((const char *)why->json.p, why->json.len))))
		goto fail;
	STREAM_TXN(s)->status = (short)why->status;
	htx_to_buf(htx, &res->buf);
	return http_forward_proxy_resp(s, 1) ? 0 : -1;
fail:
	channel_htx_truncate(res, htx);
	return -1;
}

int refuse(struct stream *s, struct flow *flow, int dir, const struct refusal_body *why)
{
	struct side *req = &flow->side[REQ], *res = &flow->side[RES];

	flow->side[dir].cut = true;
	/* the upstream must not take what it has for a whole request */
	if (req->head_left && !req->complete && !req->reset) {
		req->reset = true;
		compat_reset_peer(s->scb);
	}
	if (res->head_left) {
		if (!res->complete && !res->reset) {
			res->reset = true;
			compat_reset_peer(s->scf);
		}
		return -1;
	}
	if (!(s->flags & SF_ERR_MASK))
		s->flags |= SF_ERR_PRXCOND;
	if (reply(s, why) < 0) {
		STREAM_TXN(s)->status = 500;
		http_reply_and_close(s, 500, http_error_message(s));
		return 0;
	}
	/* ends all analysis and keeps what is marked for output: our reply */
	http_reply_and_close(s, (short)why->status, NULL);
	return 0;
}

int refuse_code(struct stream *s, struct flow *flow, int dir, enum refusal_code code)
{
	const struct refusal *r = refusal_get(code);
	struct buf json = {0};
	struct refusal_body why = {.status = r->status, .code = span_str(r->code)};
	int ret;

	if (code == REFUSAL_NONE)
		why.status = dir == REQ ? 400 : 502;
	/* without memory the client still gets the status and the code */
	else if (refusal_json(&json, code, NULL, NULL) == 0)
		why.json = buf_span(&json);
	ret = refuse(s, flow, dir, &why);
	buf_deinit(&json);
	return ret;
}
