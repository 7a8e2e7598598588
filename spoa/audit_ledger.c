/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "audit_record.h"
#include "json.h"

enum {
	BUCKETS = 4096,
	LOST_MS = 60 * 1000,        /* of silence, without END */
	FORGET_MS = 3600 * 1000,    /* a line was written, END may still come */
	CLOSED_MS = 5 * 1000,       /* longer than all tries of one exchange */
	OPEN_MAX = 1 << 16,
};

struct audit_ledger {
	int (*write_line)(void *ctx, struct span line);
	void *ctx;
	struct record *bucket[BUCKETS];
	struct record *ended; /* fresh and ripe ones */
	struct buf line, text;
	struct audit_figures figures;
};

struct audit_ledger *audit_ledger_new(int (*write_line)(void *ctx, struct span line), void *ctx)
{
	struct audit_ledger *l = calloc(1, sizeof(*l));

	if (l) {
		l->write_line = write_line;
		l->ctx = ctx;
	}
	return l;
}

/* An id is 6 random bytes and a counter: the counter's end spreads well enough. */
static struct record **find(struct audit_ledger *l, const uint8_t *id)
{
	struct record **at = &l->bucket[((size_t)id[10] << 8 | id[11]) % BUCKETS];

	while (*at && memcmp((*at)->id, id, sizeof((*at)->id)) != 0)
		at = &(*at)->next;
	return at;
}

static void drop(struct audit_ledger *l, struct record **at)
{
	struct record *r = *at;

	*at = r->next;
	l->figures.open--;
	record_deinit(r);
	free(r);
}

/* lost: its end is not known. */
static void write_record(struct audit_ledger *l, struct record *r, bool lost)
{
	if (!record_has_news(r))
		return;
	if (record_format(&l->line, r, lost ? "lost" : r->end) == 0 && l->write_line(l->ctx, buf_span(&l->line)) == 0)
		l->figures.lines++;
	buf_reset(&l->line);
	record_said(r, lost);
}

static bool is_over(struct audit_ledger *l, struct record *r, uint64_t now_ms)
{
	uint64_t silent = now_ms > r->last_ms ? now_ms - r->last_ms : 0;

	if (r->stage == RECORD_CLOSED)
		return silent >= CLOSED_MS;
	if (r->stage != RECORD_OPEN || silent < LOST_MS)
		return false;
	write_record(l, r, true);
	return !r->written || silent >= FORGET_MS;
}

int audit_ledger_tick(struct audit_ledger *l, uint64_t now_ms)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct record **at = &l->bucket[i];

		while (*at) {
			if (is_over(l, *at, now_ms))
				drop(l, at);
			else
				at = &(*at)->next;
		}
	}
	return 0;
}

/* NULL: out of memory. A full table stops waiting for ENDs; no line is lost by that. */
static struct record *record_get(struct audit_ledger *l, const uint8_t *id, uint64_t now_ms)
{
	struct record **at = find(l, id), *r = *at;

	if (!r) {
		if (l->figures.open >= OPEN_MAX) {
			audit_ledger_tick(l, UINT64_MAX);
			at = find(l, id);
		}
		r = calloc(1, sizeof(*r));
		if (!r)
			return NULL;
		memcpy(r->id, id, sizeof(r->id));
		r->has_id = true;
		r->first_ms = now_ms;
		*at = r;
		l->figures.open++;
	}
	r->last_ms = now_ms;
	return r;
}

int audit_ledger_take(struct audit_ledger *l, const struct audit_event *e, uint64_t now_ms)
{
	struct record *r = record_get(l, e->id, now_ms);
	int rc;

	if (!r)
		return -1;
	rc = record_take(r, e);
	if (r->stage == RECORD_CLOSED && record_has_news(r))
		r->stage = RECORD_OPEN;
	if (r->stage == RECORD_OPEN && record_has_ended(r)) {
		r->stage = RECORD_FRESH;
		r->ended_next = l->ended;
		l->ended = r;
	}
	return rc;
}

size_t audit_ledger_settle(struct audit_ledger *l)
{
	struct record **at = &l->ended, *r;
	size_t waiting = 0;

	while ((r = *at)) {
		if (r->stage == RECORD_FRESH) {
			r->stage = RECORD_RIPE;
			at = &r->ended_next;
			waiting++;
			continue;
		}
		*at = r->ended_next;
		r->stage = RECORD_CLOSED;
		write_record(l, r, false);
		if (!r->written)
			drop(l, find(l, r->id));
	}
	return waiting;
}

struct log_line {
	struct span agent, host, method, path, code, client, id; /* in the ledger's text */
};

static int log_line_decode(struct log_line *line, struct buf *text, struct span json)
{
	static const struct {
		const char *key;
		size_t offset;
	} keys[] = {
		{"agent", offsetof(struct log_line, agent)},   {"host", offsetof(struct log_line, host)},
		{"method", offsetof(struct log_line, method)}, {"path", offsetof(struct log_line, path)},
		{"code", offsetof(struct log_line, code)},     {"client", offsetof(struct log_line, client)},
		{"id", offsetof(struct log_line, id)},
	};
	struct json_member m;
	int more;

	*line = (struct log_line){0};
	buf_reset(text);
	if (buf_reserve(text, json.len) < 0) /* nothing unescapes to more, so spans into it stay valid */
		return -1;
	while ((more = json_next(&m, &json)) > 0) {
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && m.is_string; i++) {
			size_t mark = text->len;

			if (!span_is(m.key, keys[i].key))
				continue;
			if (json_unescape(text, m.value) < 0)
				return -1;
			*(struct span *)((char *)line + keys[i].offset) = span_of(text->p + mark, text->len - mark);
		}
	}
	return more;
}

static int hex_id(uint8_t id[12], struct span hex)
{
	static const char digits[] = "0123456789abcdef";

	if (hex.len != 24)
		return -1;
	for (size_t i = 0; i < hex.len; i++) {
		const char *d = hex.p[i] ? strchr(digits, hex.p[i] | 32) : NULL;

		if (!d)
			return -1;
		id[i / 2] = (uint8_t)(id[i / 2] << 4 | (d - digits));
	}
	return 0;
}

int audit_ledger_take_log(struct audit_ledger *l, struct span json, uint64_t now_ms)
{
	struct audit_event e = {.kind = AUDIT_REFUSAL};
	struct record r = {.first_ms = now_ms};
	struct log_line line;
	int rc;

	if (log_line_decode(&line, &l->text, json) < 0 || line.code.len == 0)
		return 0;
	e.agent = line.agent;
	e.host = line.host;
	e.method = line.method;
	e.path = line.path;
	e.code = line.code;
	if (hex_id(e.id, line.id) == 0) /* an agent's refusal of the same request is the same line */
		return audit_ledger_take(l, &e, now_ms);
	rc = record_take(&r, &e) | record_keep(&r.client, line.client);
	write_record(l, &r, false);
	record_deinit(&r);
	return rc ? -1 : 0;
}

struct audit_figures audit_ledger_figures(const struct audit_ledger *l)
{
	return l->figures;
}

void audit_ledger_free(struct audit_ledger *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (l->bucket[i]) {
			struct record *r = l->bucket[i];

			write_record(l, r, r->stage == RECORD_OPEN);
			drop(l, &l->bucket[i]);
		}
	}
	buf_deinit(&l->line);
	buf_deinit(&l->text);
	free(l);
}
