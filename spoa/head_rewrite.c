/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "head_rewrite.h"

/* Servers repeat these in their answers, logs and error pages: never a secret in them, not even when the policy lists them. */
static bool is_reflected(struct span name)
{
	static const char *const names[] = {"last-event-id", "origin", "referer", "user-agent", "x-request-id"};
	static const char websocket[] = "sec-websocket-";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is(name, names[i]))
			return true;
	return name.len >= sizeof(websocket) - 1 && memcmp(name.p, websocket, sizeof(websocket) - 1) == 0;
}

/* Fields of a response that would be wrong, or would lead around the gateway. */
static bool is_dropped(const struct policy *p, struct span name)
{
	static const char *const names[] = {"accept-ranges", "alt-svc", "content-digest", "content-md5", "digest", "repr-digest"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is(name, names[i]))
			return true;
	return policy_drops_response_header(p, name);
}

static enum head_result rewrite(struct head_work *w, struct span value, enum rewrite_place place, bool basic, enum audit_where where,
                                struct buf *out, bool *changed)
{
	struct rewrite_scope scope = {.direction = w->judge.direction,
	                              .place = place,
	                              .decide = judge_match,
	                              .ctx = &w->judge};

	buf_reset(out);
	switch (rewrite_whole(policy_rewriter(w->judge.policy), &scope, value, basic, out, changed, &w->hits[where])) {
	case REWRITE_OK: return HEAD_OK;
	case REWRITE_STOPPED: return HEAD_TRIPPED;
	default: return HEAD_ERROR;
	}
}

static enum head_result add_edit(struct head_work *w, const struct edit *e)
{
	if (edit_encode(w->edits, e) < 0)
		return HEAD_ERROR;
	w->edit_count++;
	return HEAD_OK;
}

/* Reaches every byte of the field; the name too: an upstream can echo into it, and a request can carry a secret out in it. */
static enum head_result one_field(struct head_work *w, const struct head_field *f, unsigned number)
{
	enum audit_where where = w->trailers ? AUDIT_IN_TRAILER : AUDIT_IN_HEADER;
	bool name_changed, value_changed, basic = w->judge.direction == REWRITE_RESPONSE || span_is(f->name, "authorization");
	struct edit e = {.field = number};
	enum head_result r;

	w->judge.place = 0;
	r = rewrite(w, f->name, PLACE_HEADER, false, where, w->name, &name_changed);
	if (r != HEAD_OK)
		return r;
	w->judge.field = f->name;
	w->judge.place = w->trailers || is_reflected(f->name) ? 0 : INJECT_HEADER;
	w->judge.replaced = 0;
	r = rewrite(w, f->value, PLACE_HEADER, basic, where, w->scratch, &value_changed);
	if (r != HEAD_OK)
		return r;
	if (w->require && !w->judge.replaced && policy_is_credential_header(w->judge.policy, f->name))
		return HEAD_CREDENTIAL_REQUIRED;
	if (!name_changed && !value_changed)
		return HEAD_OK;
	e.op = name_changed ? EDIT_FIELD : EDIT_VALUE;
	if (name_changed)
		e.name = buf_span(w->name);
	e.value = buf_span(w->scratch);
	return add_edit(w, &e);
}

enum head_result head_rewrite_fields(struct head_work *w, struct span fields)
{
	struct head_field f;
	unsigned number = 0;
	int more;

	while ((more = head_next_field(&f, &fields)) == 1) {
		enum head_result r;

		if (w->judge.direction == REWRITE_RESPONSE && !w->trailers && is_dropped(w->judge.policy, f.name))
			r = add_edit(w, &(struct edit){.op = EDIT_REMOVE, .field = number});
		else
			r = one_field(w, &f, number);
		if (r != HEAD_OK)
			return r;
		number++;
	}
	return more < 0 ? HEAD_ERROR : HEAD_OK;
}

enum head_result head_rewrite_response(struct head_work *w, const struct head *h)
{
	return head_rewrite_fields(w, h->fields);
}

struct span head_uri_path(struct span uri)
{
	const uint8_t *at = uri.len && uri.p[0] != '/' ? memmem(uri.p, uri.len, "://", 3) : NULL;

	if (!at)
		return uri;
	at = memchr(at + 3, '/', uri.len - (size_t)(at + 3 - uri.p));
	return at ? span_of(at, uri.len - (size_t)(at - uri.p)) : span_str("/");
}

/* Scheme and authority were judged before; they are looked at for secrets with the path. */
static enum head_result rewrite_uri(struct head_work *w, struct span uri)
{
	const uint8_t *mark = uri.len ? memchr(uri.p, '?', uri.len) : NULL;
	size_t path_len = mark ? (size_t)(mark - uri.p) : uri.len;
	bool path_changed, query_changed = false;
	enum head_result r;

	w->judge.place = INJECT_PATH;
	r = rewrite(w, span_of(uri.p, path_len), PLACE_PATH, false, AUDIT_IN_PATH, w->name, &path_changed);
	if (r != HEAD_OK)
		return r;
	buf_reset(w->scratch);
	if (mark) {
		w->judge.place = INJECT_QUERY;
		r = rewrite(w, span_of(mark, uri.len - path_len), PLACE_QUERY, false, AUDIT_IN_QUERY, w->scratch, &query_changed);
		if (r != HEAD_OK)
			return r;
	}
	if (!path_changed && !query_changed)
		return HEAD_OK;
	if (buf_append_span(w->name, buf_span(w->scratch)) < 0)
		return HEAD_ERROR;
	return add_edit(w, &(struct edit){.op = EDIT_URI, .value = buf_span(w->name)});
}

enum head_result head_rewrite_request(struct head_work *w, const struct head *h)
{
	enum head_result r;
	bool changed;

	/* a method is any token: nothing is put into it, and no secret may leave in it */
	w->judge.place = 0;
	r = rewrite(w, h->method, PLACE_HEADER, false, AUDIT_IN_HEADER, w->scratch, &changed);
	if (r == HEAD_OK)
		r = rewrite_uri(w, h->uri);
	return r == HEAD_OK ? head_rewrite_fields(w, h->fields) : r;
}
