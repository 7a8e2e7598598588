/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "head_rewrite.h"

#include "head_name.h"

static bool is_one_of(struct span name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_is(name, names[i]))
			return true;
	return false;
}

#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof(*(names)))

/* Servers repeat these in their answers, logs and error pages: no secret goes into them, whatever the policy lists. */
static bool is_reflected(struct span name)
{
	static const char *const names[] = {"access-control-request-headers", "access-control-request-method", "last-event-id", "origin",
	                                    "referer", "user-agent", "x-request-id"};
	static const char family[] = "sec-websocket-";

	return IS_ONE_OF(name, names) || (name.len >= sizeof(family) - 1 && memcmp(name.p, family, sizeof(family) - 1) == 0);
}

/* Fields of a response that would be wrong once a secret in its body is replaced, or that lead around the gateway. */
static bool is_dropped(const struct policy *p, struct span name)
{
	static const char *const names[] = {"alt-svc", "content-digest", "content-md5", "digest", "repr-digest"};

	return IS_ONE_OF(name, names) || policy_drops_response_header(p, name);
}

/* A number that frames the message and happens to look like a short secret is none. */
static bool is_framing(struct span name)
{
	return span_is(name, "content-length") || span_is(name, "transfer-encoding");
}

static enum head_result add_edit(struct head_work *w, enum edit_op op, unsigned field, struct span name, struct span value)
{
	struct edit e = {.op = op, .field = field, .name = name, .value = value};

	if (w->fixed)
		return HEAD_OK;
	if (w->edit_count == UINT16_MAX || field > UINT16_MAX || edit_encode(w->edits, &e) < 0)
		return HEAD_TOO_LARGE;
	w->edit_count++;
	return HEAD_OK;
}

/* Appends the part, rewritten where `inject` allows it, to w->part. */
static enum head_result rewrite(struct head_work *w, struct span part, unsigned inject, enum rewrite_place place, bool basic,
                                struct rewrite_hits *hits, bool *changed)
{
	struct rewrite_scope scope = {.direction = w->judge->direction, .place = place, .decide = judge_match, .ctx = w->judge};

	w->judge->place = w->fixed ? 0 : inject;
	switch (rewrite_whole(policy_rewriter(w->judge->policy), &scope, part, basic, w->part, changed, hits)) {
	case REWRITE_OK: return HEAD_OK;
	case REWRITE_STOPPED: return HEAD_TRIPPED;
	default: return HEAD_ERROR;
	}
}

/* A part in which nothing becomes a secret and that is not changed: only the wire is guarded. hits NULL: placeholders are counted
 * elsewhere. */
static enum head_result guard(struct head_work *w, struct span part, struct rewrite_hits *hits)
{
	bool changed;

	buf_wipe(w->part);
	return rewrite(w, part, 0, PLACE_RAW, false, hits, &changed);
}

/* --- fields --- */

static enum head_result guard_name(struct head_work *w, struct span name, struct rewrite_hits *hits)
{
	struct head_name_hit hit;

	if (head_name_find(policy_rewriter(w->judge->policy), w->shortest_run, name, 0, &hit)) {
		w->judge->tripped = (int)hit.entry;
		return HEAD_TRIPPED;
	}
	return guard(w, name, hits);
}

/* *missing: a credential header without a placeholder that became a secret. */
static enum head_result request_field(struct head_work *w, unsigned number, const struct head_field *f, bool trailer, bool *missing)
{
	struct rewrite_hits *hits = &w->hits[trailer ? AUDIT_IN_TRAILER : AUDIT_IN_HEADER];
	bool credential = !trailer && policy_is_credential_header(w->judge->policy, f->name), changed;
	unsigned before = w->judge->replaced;
	enum head_result r = guard_name(w, f->name, hits);

	if (r != HEAD_OK || is_framing(f->name))
		return r;
	w->judge->field = f->name;
	buf_wipe(w->part);
	r = rewrite(w, f->value, trailer || is_reflected(f->name) ? 0 : INJECT_HEADER, PLACE_HEADER, credential, hits, &changed);
	if (r == HEAD_OK && changed)
		r = add_edit(w, EDIT_VALUE, number, span_of(NULL, 0), buf_span(w->part));
	*missing |= credential && w->judge->replaced == before;
	return r;
}

/* All fields are looked at, repeated ones too: the tripwire goes before a missing credential. */
static enum head_result request_fields(struct head_work *w, struct span fields, bool trailer)
{
	enum head_result r = HEAD_OK;
	bool missing = false;
	struct head_field f;
	unsigned number = 0;
	int more = 0;

	while (r == HEAD_OK && (more = head_next_field(&f, &fields)) == 1)
		r = request_field(w, number++, &f, trailer, &missing);
	if (r != HEAD_OK)
		return r;
	if (more < 0)
		return HEAD_ERROR;
	return missing && w->require ? HEAD_CREDENTIAL_REQUIRED : HEAD_OK;
}

/* Leaves the name without secrets in w->name. */
static enum head_result response_name(struct head_work *w, struct span name, struct rewrite_hits *hits, bool *changed)
{
	enum head_result r;
	int lowered;

	buf_wipe(w->part);
	r = rewrite(w, name, 0, PLACE_RAW, false, hits, changed);
	if (r != HEAD_OK)
		return r;
	buf_wipe(w->name);
	lowered = head_name_sanitize(policy_rewriter(w->judge->policy), w->shortest_run, buf_span(w->part), w->name, hits);
	*changed |= lowered > 0;
	return lowered < 0 ? HEAD_ERROR : HEAD_OK;
}

static enum head_result response_field(struct head_work *w, unsigned number, const struct head_field *f, enum audit_where where)
{
	bool name_changed = false, changed = false;
	enum head_result r;

	if (is_dropped(w->judge->policy, f->name))
		return add_edit(w, EDIT_REMOVE, number, span_of(NULL, 0), span_of(NULL, 0));
	r = response_name(w, f->name, &w->hits[where], &name_changed);
	if (r != HEAD_OK || is_framing(f->name))
		return r;
	buf_wipe(w->part);
	r = rewrite(w, f->value, 0, PLACE_HEADER, true, &w->hits[where], &changed);
	if (r != HEAD_OK)
		return r;
	if (name_changed)
		return add_edit(w, EDIT_FIELD, number, buf_span(w->name), buf_span(w->part));
	return changed ? add_edit(w, EDIT_VALUE, number, span_of(NULL, 0), buf_span(w->part)) : HEAD_OK;
}

static enum head_result response_fields(struct head_work *w, struct span fields, enum audit_where where)
{
	enum head_result r = HEAD_OK;
	struct head_field f;
	unsigned number = 0;
	int more = 0;

	while (r == HEAD_OK && (more = head_next_field(&f, &fields)) == 1)
		r = response_field(w, number++, &f, where);
	return r == HEAD_OK && more < 0 ? HEAD_ERROR : r;
}

enum head_result head_rewrite_response(struct head_work *w, const struct head *h)
{
	return response_fields(w, h->fields, AUDIT_IN_HEADER);
}

enum head_result head_rewrite_trailers(struct head_work *w, const struct head *h)
{
	return w->judge->direction == REWRITE_REQUEST ? request_fields(w, h->fields, true) : response_fields(w, h->fields, AUDIT_IN_TRAILER);
}

/* --- uri --- */

struct head_uri head_uri_split(struct span uri)
{
	const uint8_t *p = uri.len && uri.p[0] != '/' ? memmem(uri.p, uri.len, "://", 3) : NULL;
	size_t at = p ? (size_t)(p - uri.p) + 3 : 0;
	struct head_uri u;

	while (p && at < uri.len && uri.p[at] != '/' && uri.p[at] != '?')
		at++;
	u.authority = span_of(uri.p, at);
	u.path = span_of(uri.p + at, uri.len - at);
	u.query = span_of(NULL, 0);
	p = u.path.len ? memchr(u.path.p, '?', u.path.len) : NULL;
	if (p) {
		at = (size_t)(p - u.path.p);
		u.query = span_of(p, u.path.len - at);
		u.path.len = at;
	}
	return u;
}

static enum head_result rewrite_uri(struct head_work *w, struct span whole)
{
	struct head_uri u = head_uri_split(whole);
	bool path_changed = false, query_changed = false;
	enum head_result r;

	/* a secret may lie across a separator; placeholders are looked for part by part */
	r = guard(w, whole, NULL);
	if (r == HEAD_TRIPPED && guard(w, u.path, &w->hits[AUDIT_IN_PATH]) == HEAD_OK && guard(w, u.query, &w->hits[AUDIT_IN_QUERY]) == HEAD_ERROR)
		r = HEAD_ERROR;
	if (r != HEAD_OK)
		return r;
	buf_wipe(w->part);
	if (buf_append_span(w->part, u.authority) < 0)
		return HEAD_ERROR;
	r = rewrite(w, u.path, INJECT_PATH, PLACE_PATH, false, &w->hits[AUDIT_IN_PATH], &path_changed);
	if (r == HEAD_OK && u.query.len)
		r = rewrite(w, u.query, INJECT_QUERY, PLACE_QUERY, false, &w->hits[AUDIT_IN_QUERY], &query_changed);
	if (r == HEAD_OK && (path_changed || query_changed))
		r = add_edit(w, EDIT_URI, 0, span_of(NULL, 0), buf_span(w->part));
	return r;
}

enum head_result head_rewrite_request(struct head_work *w, const struct head *h)
{
	enum head_result r = guard(w, h->method, &w->hits[AUDIT_IN_HEADER]);

	if (r == HEAD_OK)
		r = rewrite_uri(w, h->uri);
	return r == HEAD_OK ? request_fields(w, h->fields, false) : r;
}

/* --- logs --- */

int head_logged(const struct policy *p, struct span bytes, struct buf *out)
{
	struct rewrite_scope scope = {.direction = REWRITE_RESPONSE, .place = PLACE_RAW, .made_only = true};
	bool changed;

	return rewrite_whole(policy_rewriter(p), &scope, bytes, false, out, &changed, NULL) == REWRITE_OK ? 0 : -1;
}
