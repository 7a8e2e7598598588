/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Heads and trailers: HTX to the bytes of docs/protocol.md and back. HTX may move with every change, so blocks are looked
 * up again after each.
 */
#include "filter.h"

static struct span span_of_ist(struct ist s)
{
	return span_of(s.ptr, s.len);
}

static struct ist ist_of_span(struct span s)
{
	return ist2((const char *)s.p, s.len);
}

/* First field of the head, NULL when there is none. */
static struct htx_blk *first_field(struct htx *htx)
{
	struct htx_blk *blk = htx_get_first_blk(htx);

	while (blk && htx_get_blk_type(blk) != HTX_BLK_HDR) {
		if (htx_get_blk_type(blk) >= HTX_BLK_EOH && htx_get_blk_type(blk) != HTX_BLK_UNUSED)
			return NULL;
		blk = htx_get_next_blk(htx, blk);
	}
	return blk;
}

static struct htx_blk *next_of_type(struct htx *htx, struct htx_blk *blk, enum htx_blk_type type)
{
	while ((blk = htx_get_next_blk(htx, blk)) != NULL) {
		if (htx_get_blk_type(blk) == type)
			return blk;
		if (htx_get_blk_type(blk) != HTX_BLK_UNUSED)
			return NULL;
	}
	return NULL;
}

static struct htx_blk *next_field(struct htx *htx, struct htx_blk *blk)
{
	return next_of_type(htx, blk, HTX_BLK_HDR);
}

struct htx_blk *head_find(struct htx *htx, const char *name)
{
	struct htx_blk *blk;

	for (blk = first_field(htx); blk; blk = next_field(htx, blk))
		if (isteqi(htx_get_blk_name(htx, blk), ist(name)))
			return blk;
	return NULL;
}

bool head_remove(struct htx *htx, const char *name)
{
	struct htx_blk *blk;
	bool found = false;

	while ((blk = head_find(htx, name)) != NULL) {
		htx_remove_blk(htx, blk);
		found = true;
	}
	return found;
}

/* "HTTP/1.1" */
static void read_version(struct ist vsn, unsigned *major, unsigned *minor)
{
	*major = vsn.len >= 8 && isdigit((unsigned char)vsn.ptr[5]) ? (unsigned)(vsn.ptr[5] - '0') : 0;
	*minor = vsn.len >= 8 && isdigit((unsigned char)vsn.ptr[7]) ? (unsigned)(vsn.ptr[7] - '0') : 0;
}

static int serialize_field(struct buf *out, struct htx *htx, struct htx_blk *blk)
{
	return head_encode_field(out, span_of_ist(htx_get_blk_name(htx, blk)), span_of_ist(htx_get_blk_value(htx, blk)));
}

int head_serialize(struct buf *out, struct htx *htx, int dir)
{
	const struct htx_sl *sl = http_get_stline(htx);
	struct htx_blk *blk;
	unsigned major, minor;
	int ret;

	buf_reset(out);
	if (!sl)
		return -1;
	read_version(dir == REQ ? htx_sl_req_vsn(sl) : htx_sl_res_vsn(sl), &major, &minor);
	if (dir == REQ)
		ret = head_encode_request(out, span_of_ist(htx_sl_req_meth(sl)), span_of_ist(htx_sl_req_uri(sl)), major,
					  minor);
	else
		ret = head_encode_response(out, sl->info.res.status, major, minor);
	for (blk = first_field(htx); blk && ret == 0; blk = next_field(htx, blk))
		ret = serialize_field(out, htx, blk);
	return ret;
}

int trailers_serialize(struct buf *out, struct htx *htx, struct htx_blk *first)
{
	int ret;

	buf_reset(out);
	ret = head_encode_trailers(out);
	for (; first && ret == 0; first = next_of_type(htx, first, HTX_BLK_TLR))
		ret = serialize_field(out, htx, first);
	return ret;
}

/* Of a request nothing but tabs; upstreams are allowed what no client takes for the end of a value. */
static bool is_refused_byte(unsigned char c, int dir)
{
	if (dir == RES)
		return c == '\0' || c == '\r' || c == '\n';
	return (c < ' ' && c != '\t') || c == 0x7f;
}

static bool is_clean_value(struct ist v, int dir)
{
	bool refused = false;

	for (size_t i = 0; i < v.len; i++)
		refused |= is_refused_byte((unsigned char)v.ptr[i], dir);
	return !refused;
}

bool trailers_are_clean(struct htx *htx, struct htx_blk *first, int dir)
{
	for (; first; first = next_of_type(htx, first, HTX_BLK_TLR))
		if (!is_clean_value(htx_get_blk_value(htx, first), dir))
			return false;
	return true;
}

bool head_is_clean(struct htx *htx, int dir)
{
	struct htx_blk *blk;

	for (blk = first_field(htx); blk; blk = next_field(htx, blk))
		if (!is_clean_value(htx_get_blk_value(htx, blk), dir))
			return false;
	return true;
}

/* The agent is trusted with values, yet a byte that ends a field early would be another field. */
static bool well_formed(const struct edit *e)
{
	for (size_t i = 0; i < e->name.len; i++)
		if (e->name.p[i] <= ' ' || e->name.p[i] == 0x7f || e->name.p[i] == ':')
			return false;
	for (size_t i = 0; i < e->value.len; i++)
		if (e->value.p[i] == '\r' || e->value.p[i] == '\n' || e->value.p[i] == '\0')
			return false;
	return e->name.len || (e->op != EDIT_FIELD && e->op != EDIT_ADD);
}

static struct htx_blk *field_number(struct htx *htx, unsigned number)
{
	struct htx_blk *blk = first_field(htx);

	while (blk && number--)
		blk = next_field(htx, blk);
	return blk;
}

static int apply_change(struct htx *htx, const struct edit *e, bool *credential)
{
	struct htx_blk *blk = field_number(htx, e->field);
	char name[256];
	struct ist n;

	if (!blk)
		return -1;
	n = ist_of_span(e->name);
	if (e->op == EDIT_VALUE) {
		/* the replace function copies to where the name may lie */
		n = htx_get_blk_name(htx, blk);
		if (n.len > sizeof(name))
			return -1;
		memcpy(name, n.ptr, n.len);
		n = ist2(name, n.len);
		if (isteqi(n, ist("authorization")))
			*credential = true;
	}
	return htx_replace_header(htx, blk, n, ist_of_span(e->value)) ? 0 : -1;
}

/* Removals come last and from the end, so that the numbers of the others stay what they were when the head was sent. */
static int apply_removals(struct htx *htx, const struct answer *a)
{
	unsigned below = UINT16_MAX + 1u;

	for (;;) {
		struct span rest = a->edits;
		struct htx_blk *blk;
		struct edit e;
		int highest = -1;

		while (answer_next_edit(&e, &rest) == 1)
			if (e.op == EDIT_REMOVE && e.field < below && (int)e.field > highest)
				highest = (int)e.field;
		if (highest < 0)
			return 0;
		below = (unsigned)highest;
		blk = field_number(htx, below);
		if (!blk)
			return -1;
		htx_remove_blk(htx, blk);
	}
}

int head_apply(struct htx *htx, const struct answer *a, bool *credential)
{
	struct span rest = a->edits;
	struct edit e;
	int ret = 0;

	*credential = false;
	while (ret == 0 && answer_next_edit(&e, &rest) == 1) {
		if (!well_formed(&e))
			return -1;
		if (e.op == EDIT_VALUE || e.op == EDIT_FIELD)
			ret = apply_change(htx, &e, credential);
		else if (e.op == EDIT_URI)
			ret = http_replace_req_uri(htx, ist_of_span(e.value)) ? 0 : -1;
	}
	if (ret == 0)
		ret = apply_removals(htx, a);
	rest = a->edits;
	while (ret == 0 && answer_next_edit(&e, &rest) == 1)
		if (e.op == EDIT_ADD)
			ret = compat_add_header(htx, ist_of_span(e.name), ist_of_span(e.value)) ? 0 : -1;
	return ret;
}

/* The edit of that field, false when it stays as it is. */
static bool find_edit(const struct answer *a, unsigned number, struct edit *e)
{
	struct span rest = a->edits;

	while (answer_next_edit(e, &rest) == 1)
		if (e->field == number && (e->op == EDIT_VALUE || e->op == EDIT_FIELD || e->op == EDIT_REMOVE))
			return true;
	return false;
}

static int add_trailers(struct htx *htx, struct span fields, const struct answer *a)
{
	struct head_field f;
	struct edit e;

	for (unsigned i = 0; head_next_field(&f, &fields) == 1; i++) {
		if (find_edit(a, i, &e)) {
			if (e.op == EDIT_REMOVE)
				continue;
			if (!well_formed(&e))
				return -1;
			f.value = e.value;
			if (e.op == EDIT_FIELD)
				f.name = e.name;
		}
		if (!htx_add_trailer(htx, ist_of_span(f.name), ist_of_span(f.value)))
			return -1;
	}
	return htx_add_endof(htx, HTX_BLK_EOT) ? 0 : -1;
}

int trailers_apply(struct htx *htx, struct htx_blk *first, struct span serialized, const struct answer *a, int *delta)
{
	uint32_t before = htx->data;
	struct head h;

	*delta = 0;
	if (!a->edit_count)
		return 0;
	if (head_decode(&h, serialized) < 0)
		return -1;
	/* the trailers are the end of the message, so they are taken off and put on again */
	while (first)
		first = htx_remove_blk(htx, first);
	if (add_trailers(htx, h.fields, a) < 0)
		return -1;
	*delta = (int)htx->data - (int)before;
	return 0;
}

int head_standard_reason(struct htx *htx)
{
	const struct htx_sl *sl = http_get_stline(htx);
	struct ist standard;

	if (!sl)
		return -1;
	standard = ist(http_get_reason(sl->info.res.status));
	if (isteq(htx_sl_res_reason(sl), standard))
		return 0;
	/* no room for the longer one: none is always shorter */
	return http_replace_res_reason(htx, standard) || http_replace_res_reason(htx, IST_NULL) ? 0 : -1;
}

void head_strip(struct htx *htx)
{
	struct htx_blk *blk;

	while ((blk = first_field(htx)) != NULL)
		htx_remove_blk(htx, blk);
}

int head_make_chunked(struct stream *s, struct http_msg *msg)
{
	struct htx *htx = htxbuf(&msg->chn->buf);
	struct htx_sl *sl;

	head_remove(htx, "content-length");
	compat_forget_length(msg->chn, htx);
	msg->flags &= ~HTTP_MSGF_CNT_LEN;
	if ((msg->chn->flags & CF_ISRESP) && !(STREAM_TXN(s)->req.flags & HTTP_MSGF_VER_11)) {
		/* An HTTP/1.0 client knows no chunks: the end of the connection delimits. Only the start line says so: from the
		 * server the end is known as before, and it need not close. */
		head_remove(htx, "transfer-encoding");
		msg->flags &= ~HTTP_MSGF_TE_CHNK;
		sl = http_get_stline(htx);
		sl->flags &= ~(HTX_SL_F_CLEN | HTX_SL_F_CHNK | HTX_SL_F_XFER_ENC | HTX_SL_F_XFER_LEN);
		return 0;
	}
	if (!head_find(htx, "transfer-encoding") &&
	    !compat_add_header(htx, ist("transfer-encoding"), ist("chunked")))
		return -1;
	msg->flags |= HTTP_MSGF_TE_CHNK | HTTP_MSGF_XFER_LEN;
	sl = http_get_stline(htx);
	sl->flags &= ~HTX_SL_F_CLEN;
	sl->flags |= HTX_SL_F_CHNK | HTX_SL_F_XFER_ENC | HTX_SL_F_XFER_LEN;
	return 0;
}

int head_set_length(struct http_msg *msg, size_t length)
{
	struct htx *htx = htxbuf(&msg->chn->buf);
	struct htx_blk *blk = head_find(htx, "content-length");
	char digits[24];
	struct ist value;
	struct htx_sl *sl;

	value = ist2(digits, (size_t)snprintf(digits, sizeof(digits), "%zu", length));
	if (blk && isteq(htx_get_blk_value(htx, blk), value))
		return 0;
	head_remove(htx, "content-length");
	head_remove(htx, "transfer-encoding");
	if (!compat_add_header(htx, ist("content-length"), value))
		return -1;
	compat_forget_length(msg->chn, htx);
	msg->flags &= ~HTTP_MSGF_TE_CHNK;
	msg->flags |= HTTP_MSGF_CNT_LEN | HTTP_MSGF_XFER_LEN;
	sl = http_get_stline(htx);
	sl->flags &= ~(HTX_SL_F_CHNK | HTX_SL_F_XFER_ENC);
	sl->flags |= HTX_SL_F_CLEN | HTX_SL_F_XFER_LEN;
	return 0;
}

int head_continue(struct stream *s)
{
	struct channel *res = &s->res;
	struct htx *htx;
	struct htx_sl *sl;

	if (b_is_null(&res->buf))
		return -1;
	htx = htx_from_buf(&res->buf);
	sl = htx_add_stline(htx, HTX_BLK_RES_SL, HTX_SL_F_IS_RESP | HTX_SL_F_VER_11 | HTX_SL_F_XFER_LEN | HTX_SL_F_BODYLESS,
			    ist("HTTP/1.1"), ist("100"), ist("Continue"));
	if (sl)
		sl->info.res.status = 100;
	return sl && htx_add_endof(htx, HTX_BLK_EOH) && http_forward_proxy_resp(s, 0) ? 0 : -1;
}
