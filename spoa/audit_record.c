/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "json.h"

enum { SEQ_WINDOW = 64 }; /* an exchange this far behind the newest of its direction is a late copy */

void record_deinit(struct record *r)
{
	for (size_t i = 0; i < r->counters_used; i++)
		free(r->counters[i].name);
	free(r->counters);
	free(r->seen);
	free(r->agent);
	free(r->host);
	free(r->method);
	free(r->path);
	free(r->client);
	free(r->code);
	free(r->end);
}

int record_keep(char **where, struct span s)
{
	if (s.len == 0 || *where)
		return 0;
	*where = strndup((const char *)s.p, s.len);
	return *where ? 0 : -1;
}

static struct record_counter *counter_get(struct record *r, const struct audit_event *e)
{
	struct record_counter *c;

	for (size_t i = 0; i < r->counters_used; i++) {
		c = &r->counters[i];
		if (c->where == e->where && c->what == e->what && c->direction == e->direction && span_is(e->secret, c->name))
			return c;
	}
	c = reallocarray(r->counters, r->counters_used + 1, sizeof(*c));
	if (!c)
		return NULL;
	r->counters = c;
	c += r->counters_used;
	*c = (struct record_counter){.where = e->where, .what = e->what, .direction = e->direction};
	c->name = strndup((const char *)e->secret.p, e->secret.len);
	if (!c->name)
		return NULL;
	r->counters_used++;
	return c;
}

static void forget_old_exchanges(struct record *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->seen_used; i++) {
		unsigned direction = r->counters[r->seen[i].counter].direction;

		if (r->newest[direction] - r->seen[i].seq < SEQ_WINDOW)
			r->seen[kept++] = r->seen[i];
	}
	r->seen_used = kept;
}

/* 1: counted before, 0: now noted, -1: out of memory. */
static int note_exchange(struct record *r, uint32_t seq, uint32_t counter)
{
	unsigned direction = r->counters[counter].direction;

	if (seq > r->newest[direction])
		r->newest[direction] = seq;
	else if (r->newest[direction] - seq >= SEQ_WINDOW)
		return 1;
	for (size_t i = r->seen_used; i > 0; i--)
		if (r->seen[i - 1].seq == seq && r->seen[i - 1].counter == counter)
			return 1;
	if (r->seen_used == r->seen_cap)
		forget_old_exchanges(r);
	if (r->seen_used == r->seen_cap) {
		size_t cap = r->seen_cap ? r->seen_cap * 2 : 4;
		struct record_seen *more = reallocarray(r->seen, cap, sizeof(*more));

		if (!more)
			return -1;
		r->seen = more;
		r->seen_cap = cap;
	}
	r->seen[r->seen_used++] = (struct record_seen){.seq = seq, .counter = counter};
	return 0;
}

static int take_hits(struct record *r, const struct audit_event *e)
{
	struct record_counter *c = counter_get(r, e);
	int again = c ? note_exchange(r, e->seq, (uint32_t)(c - r->counters)) : -1;

	if (again == 0)
		c->count += e->count;
	return again < 0 ? -1 : 0;
}

/* The first refusal counts, and says more than a note. */
static int take_refusal(struct record *r, const struct audit_event *e)
{
	if (r->refused)
		return 0;
	r->refused = true;
	free(r->code);
	r->code = NULL;
	return record_keep(&r->code, e->code) | record_keep(&r->end, span_str("refused"));
}

/* How the response ended is how it ended. */
static int take_end(struct record *r, const struct audit_event *e)
{
	if (e->direction == 1 && !r->ended[1] && !r->refused) {
		free(r->end);
		r->end = NULL;
	}
	r->ended[e->direction] = true;
	return record_keep(&r->end, e->end);
}

int record_take(struct record *r, const struct audit_event *e)
{
	int rc = record_keep(&r->agent, e->agent) | record_keep(&r->host, e->host) | record_keep(&r->method, e->method) |
	         record_keep(&r->path, e->path);

	r->had[e->direction] = true;
	switch (e->kind) {
	case AUDIT_HEAD:
	case AUDIT_SUSPEND:
		break;
	case AUDIT_HITS:
		rc |= take_hits(r, e);
		break;
	case AUDIT_NOTE:
		if (!r->written)
			rc |= record_keep(&r->code, e->code);
		break;
	case AUDIT_REFUSAL:
		rc |= take_refusal(r, e);
		break;
	case AUDIT_END:
		rc |= take_end(r, e);
		break;
	}
	return rc ? -1 : 0;
}

/* The request's END comes when the transaction is over; a response without exchange has none. */
bool record_has_ended(const struct record *r)
{
	return r->refused || r->ended[1] || (r->ended[0] && !r->had[1]);
}

bool record_has_news(const struct record *r)
{
	if (r->code || (r->lost && record_has_ended(r)))
		return true;
	for (size_t i = 0; i < r->counters_used; i++)
		if (r->counters[i].count)
			return true;
	return false;
}

void record_said(struct record *r, bool lost)
{
	r->written = true;
	r->lost = lost;
	for (size_t i = 0; i < r->counters_used; i++)
		r->counters[i].count = 0;
	free(r->code);
	r->code = NULL;
}

static const char *const where_text[] = {
	[AUDIT_IN_HEADER] = "header", [AUDIT_IN_QUERY] = "query",     [AUDIT_IN_PATH] = "path",
	[AUDIT_IN_BODY] = "body",     [AUDIT_IN_TRAILER] = "trailer",
};

static const char *const what_text[] = {
	[AUDIT_REHYDRATED] = "rehydrated", [AUDIT_REDACTED] = "redacted",           [AUDIT_TRIPPED] = "tripped",
	[AUDIT_INERT] = "inert",           [AUDIT_INERT_IN_BODY] = "inert_in_body",
};

static int put_time(struct buf *out, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return buf_printf(out, "{\"time\":\"%s.%03uZ\"", text, (unsigned)(ms % 1000));
}

static int put_id(struct buf *out, const struct record *r)
{
	int rc = buf_printf(out, ",\"id\":\"");

	for (size_t i = 0; i < sizeof(r->id) && r->has_id; i++)
		rc |= buf_printf(out, "%02x", r->id[i]);
	return rc | buf_putc(out, '"');
}

static int put_member(struct buf *out, const char *key, const char *value)
{
	return buf_printf(out, ",\"%s\":", key) | json_string(out, value ? span_str(value) : span_of("", 0));
}

static int put_secrets(struct buf *out, const struct record *r)
{
	const char *comma = "";
	int rc = buf_printf(out, ",\"secrets\":[");

	for (size_t i = 0; i < r->counters_used; i++) {
		const struct record_counter *c = &r->counters[i];

		if (c->count == 0)
			continue;
		rc |= buf_printf(out, "%s{\"name\":", comma);
		rc |= json_string(out, span_str(c->name));
		rc |= buf_printf(out, ",\"where\":\"%s\",\"direction\":\"%s\",\"what\":\"%s\",\"count\":%llu}", where_text[c->where],
		                 c->direction ? "response" : "request", what_text[c->what], (unsigned long long)c->count);
		comma = ",";
	}
	return rc | buf_putc(out, ']');
}

int record_format(struct buf *out, const struct record *r, const char *end)
{
	size_t mark = out->len;
	int rc = put_time(out, r->first_ms) | put_id(out, r);

	rc |= put_member(out, "agent", r->agent);
	if (r->client)
		rc |= put_member(out, "client", r->client);
	rc |= put_member(out, "host", r->host);
	rc |= put_member(out, "method", r->method);
	rc |= put_member(out, "path", r->path);
	rc |= put_member(out, "verdict", r->refused ? "refuse" : "allow");
	rc |= put_member(out, "code", r->code);
	rc |= put_secrets(out, r);
	rc |= put_member(out, "end", end);
	rc |= buf_append(out, "}\n", 2);
	if (rc)
		out->len = mark;
	return rc ? -1 : 0;
}
