/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Choosing among occurrences and writing what stands in their place.
 *
 *   in    |  decided        at                 hold                len
 *         |----------------|------------------|------------------|
 *                            decidable           held: fits the beginning of a shape
 *
 * Occurrences are taken in the order of their start while they start in front of `hold`: such a one is whole, and no
 * longer one can begin at the same place.
 */
#include <stdlib.h>

#include "rewrite_internal.h"

static int found_compare(const void *x, const void *y)
{
	const struct found *a = x, *b = y;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->start_bit != b->start_bit)
		return a->start_bit < b->start_bit ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	if (a->end_bit != b->end_bit)
		return a->end_bit > b->end_bit ? -1 : 1;
	if (a->pattern != b->pattern)
		return a->pattern < b->pattern ? -1 : 1;
	return a->lane - b->lane;
}

/* Does f begin at or behind what is decided? In the shared character only base64 may, behind the decided bits. */
static bool may_start(const struct emitter *e, const struct found *f)
{
	if (f->start < e->at)
		return false;
	if (e->bits == 0 || f->start >= e->at + e->shared.len)
		return true;
	return f->start == e->at && f->lane == LANE_BASE64 && f->start_bit >= e->bits;
}

struct unit base64_unit(const uint8_t *p, const uint8_t *end)
{
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false;
	unsigned n;

	if (spelling_sextet[*p] != SPELLING_NO_SEXTET)
		return (struct unit){.byte = *p, .len = 1};
	n = spelling_units(p, end, units, &partial);
	while (n--)
		if (units[n].kind < SPELLING_PLUS && spelling_sextet[units[n].byte] != SPELLING_NO_SEXTET)
			return units[n];
	return (struct unit){.len = 0};
}

static size_t hold_from(const struct emitter *e)
{
	const struct prefilter *p = e->rewriter->prefilter;
	size_t from = e->at;

	if (e->bits) {
		if (prefilter_begins_in_bits(p, span_of(e->in.p + from, e->in.len - from), e->bits, carry_line_at(e->in, from, e->line)))
			return from;
		from += e->shared.len;
	}
	return from + prefilter_hold(p, span_of(e->in.p + from, e->in.len - from), carry_line_at(e->in, from, e->line));
}

size_t emit_hold(struct emitter *e)
{
	if (e->last)
		return e->in.len;
	if (!e->hold_known || e->at > e->hold || (e->at == e->hold && e->bits)) {
		e->hold = hold_from(e);
		e->hold_known = true;
	}
	return e->hold;
}

static size_t room(const struct emitter *e)
{
	return e->out->limit ? e->out->limit - e->out->len : SIZE_MAX;
}

/* The first change: what was decided so far is output from now on. */
static enum rewrite_result begin_change(struct emitter *e)
{
	if (e->changed)
		return REWRITE_OK;
	if (e->at > room(e))
		return REWRITE_ROOM;
	if (buf_append(e->out, e->in.p, e->at) < 0)
		return REWRITE_ERROR;
	e->changed = true;
	return REWRITE_OK;
}

/* A unit that cannot spell the new character (\/ is always a slash, &#43; has room for two digits) gets a fixed one, or stays. */
static void sextet_write(uint8_t *p, const struct unit *u, unsigned value, bool url)
{
	unsigned c = spelling_sextet[u->byte] == value ? u->byte : spelling_sextet_char(value, url);

	if (!u->kind)
		*p = (uint8_t)c;
	else if (!spelling_respell(p, u, (uint8_t)c))
		spelling_respell(p, u, 'A');
}

static unsigned merge(unsigned bits, unsigned value, unsigned sextet)
{
	return value << (6 - bits) | (sextet & ((1u << (6 - bits)) - 1));
}

/* The shared character leaves with its own low bits. */
static enum rewrite_result emit_shared(struct emitter *e)
{
	enum rewrite_result r;
	uint8_t *p;

	if (e->shared_kept) { /* decided to be what it is */
		e->bits = 0;
		return REWRITE_OK;
	}
	r = begin_change(e);
	if (r != REWRITE_OK)
		return r;
	if (e->shared.len > room(e))
		return REWRITE_ROOM;
	if (buf_append(e->out, e->in.p + e->at, e->shared.len) < 0)
		return REWRITE_ERROR;
	p = e->out->p + e->out->len - e->shared.len;
	sextet_write(p, &e->shared, merge(e->bits, e->value, spelling_sextet[e->shared.byte]), e->shared.byte == '-' || e->shared.byte == '_');
	e->at += e->shared.len;
	e->bits = 0;
	return REWRITE_OK;
}

enum rewrite_result emit_clean(struct emitter *e, size_t upto)
{
	enum rewrite_result r;
	size_t n;

	if (e->bits && upto > e->at) {
		r = emit_shared(e);
		if (r != REWRITE_OK)
			return r;
	}
	if (upto <= e->at)
		return REWRITE_OK;
	n = upto - e->at;
	if (e->changed) {
		if (n > room(e))
			n = room(e);
		if (buf_append(e->out, e->in.p + e->at, n) < 0)
			return REWRITE_ERROR;
	}
	e->at += n;
	return e->at == upto ? REWRITE_OK : REWRITE_ROOM;
}

/* --- what an occurrence becomes --- */

enum how { HOW_SAME, HOW_RAW, HOW_JSON, HOW_PERCENT, HOW_HTML };

struct replacement {
	enum rewrite_verdict verdict;
	unsigned entry; /* which of those of the same bytes */
	struct span bytes;
	enum how how; /* HOW_SAME: unit by unit, as many bytes as there were */
};

/* Kinds of units on the way of f. */
static unsigned kinds_of(const struct scratch *s, const struct found *f)
{
	uint32_t i = f->record;
	unsigned kinds = 0;

	for (; i != RECORD_NONE && s->records[i].at >= f->start; i = s->records[i].prev)
		kinds |= s->records[i].unit.kind;
	return kinds;
}

static enum how how_of(const struct rewrite_scope *scope, unsigned kinds)
{
	if (kinds & SPELLING_PERCENT)
		return HOW_PERCENT;
	if (kinds & SPELLING_HTML)
		return HOW_HTML;
	if (kinds & SPELLING_JSON)
		return HOW_JSON;
	switch (scope->place) {
	case PLACE_JSON:
		return HOW_JSON;
	case PLACE_FORM:
	case PLACE_QUERY:
	case PLACE_PATH:
		return HOW_PERCENT;
	case PLACE_RAW:
	case PLACE_HEADER:
		break;
	}
	return HOW_RAW;
}

static bool unreserved(uint8_t c)
{
	return (spelling_sextet[c] != SPELLING_NO_SEXTET && c != '+' && c != '/') || c == '.' || c == '~';
}

/* Writes one escaped byte, returns its length (at most 6). */
static size_t escape(uint8_t out[8], uint8_t c, enum how how)
{
	static const char hex[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

	out[0] = c;
	if (how == HOW_JSON && (c == '"' || c == '\\')) {
		out[0] = '\\';
		out[1] = c;
		return 2;
	}
	if (how == HOW_JSON && c < 0x20) {
		memcpy(out, "\\u00", 4);
		out[4] = (uint8_t)hex[c >> 4];
		out[5] = (uint8_t)hex[c & 15];
		return 6;
	}
	if (how == HOW_PERCENT && !unreserved(c)) {
		out[0] = '%';
		out[1] = (uint8_t)upper[c >> 4];
		out[2] = (uint8_t)upper[c & 15];
		return 3;
	}
	if (how == HOW_HTML && (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')) {
		memcpy(out, "&#", 2);
		out[2] = (uint8_t)('0' + c / 10);
		out[3] = (uint8_t)('0' + c % 10);
		out[4] = ';';
		return 5;
	}
	return 1;
}

static size_t escaped_length(struct span s, enum how how)
{
	uint8_t one[8];
	size_t n = 0, i;

	for (i = 0; i < s.len; i++)
		n += escape(one, s.p[i], how);
	return n;
}

static struct span part(struct span whole, const struct pattern *p)
{
	return span_of(whole.p + p->offset, p->len);
}

/* A request: secrets, and placeholders where they count. */
static struct replacement request_replacement(const struct emitter *e, const struct pattern *p, const struct found *f, unsigned kinds)
{
	struct replacement r = {.verdict = REWRITE_KEEP, .entry = p->entry, .how = HOW_SAME};
	const struct rewrite_entry *entry;

	if (p->match != MATCH_SECRET && (f->lane != LANE_TEXT || (kinds & (SPELLING_HTML | SPELLING_UTF16))))
		return r; /* inert */
	r.verdict = e->scope->decide(e->scope->ctx, p->match, &r.entry);
	if (r.verdict != REWRITE_REPLACE)
		return r;
	entry = &e->rewriter->entries[r.entry];
	r.bytes = part(p->match == MATCH_SECRET ? entry->made : entry->value, p);
	if (p->match != MATCH_GIVEN)
		return r;
	r.bytes = entry->value;
	r.how = how_of(e->scope, kinds);
	if (e->scope->made_only && escaped_length(r.bytes, r.how) != f->end - f->start)
		r.verdict = REWRITE_KEEP;
	return r;
}

static struct replacement response_replacement(const struct emitter *e, const struct pattern *p, const struct found *f, unsigned kinds)
{
	struct replacement r = {.entry = p->entry, .how = HOW_SAME};
	const struct rewrite_entry *entry;

	r.verdict = e->scope->decide(e->scope->ctx, p->match, &r.entry);
	entry = &e->rewriter->entries[r.entry];
	r.bytes = part(entry->made, p);
	if (!entry->given.len || e->scope->made_only || f->lane != LANE_TEXT || (kinds & SPELLING_UTF16) || p->len != entry->value.len)
		return r;
	r.bytes = entry->given;
	r.how = how_of(e->scope, kinds);
	return r;
}

static void count_hit(struct emitter *e, const struct pattern *p, unsigned entry, enum rewrite_verdict verdict)
{
	struct rewrite_hits *h = e->hits;
	unsigned i;

	if (!h)
		return;
	for (i = 0; i < h->used; i++) {
		struct rewrite_hit *hit = &h->hit[i];

		if (hit->entry == entry && hit->match == p->match && hit->verdict == verdict) {
			hit->count++;
			return;
		}
	}
	if (h->used == sizeof(h->hit) / sizeof(h->hit[0]))
		h->lost++;
	else
		h->hit[h->used++] = (struct rewrite_hit){.entry = entry, .count = 1, .match = p->match, .verdict = verdict};
}

/* --- unit by unit --- */

/* p: a copy of in[f->start..f->end), which gets the new bytes. Walks backwards along the records. */
static void write_text(const struct scratch *s, const struct found *f, uint8_t *p, struct span bytes)
{
	uint32_t record = f->record;
	size_t end = f->end, n = bytes.len;

	while (n) {
		const struct record *r = record == RECORD_NONE ? NULL : &s->records[record];

		if (r && r->at + r->unit.len == end) {
			n--;
			spelling_respell(p + (r->at - f->start), &r->unit, bytes.p[n]);
			end = r->at;
			record = r->prev;
		} else {
			p[--end - f->start] = bytes.p[--n];
		}
	}
}

static void write_hex(uint8_t *p, struct span bytes)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < bytes.len; i++) {
		p[2 * i] = (uint8_t)digits[bytes.p[i] >> 4];
		p[2 * i + 1] = (uint8_t)digits[bytes.p[i] & 15];
	}
}

/* Sextet number i of an occurrence: `bytes` begin at bit start_bit of sextet 0; what is outside of them comes from `old`. */
static unsigned sextet_of(struct span bytes, unsigned start_bit, size_t i, unsigned old)
{
	unsigned value = 0, b;

	for (b = 0; b < 6; b++) {
		size_t bit = 6 * i + b - start_bit; /* wraps around in front of the bytes */
		unsigned one = old >> (5 - b) & 1;

		if (bit < 8 * bytes.len)
			one = bytes.p[bit / 8] >> (7 - bit % 8) & 1;
		value = value << 1 | one;
	}
	return value;
}

/* Returns the new value of the last sextet. decided: of the first one, as it goes out so far. */
static unsigned write_base64(const struct scratch *s, const struct found *f, uint8_t *p, struct span bytes, unsigned decided)
{
	size_t n = (f->start_bit + 8 * bytes.len + 5) / 6, end = f->end, i;
	unsigned value = 0, last = 0;
	uint32_t record = f->record;
	bool url;

	url = memchr(p, '-', f->end - f->start) || memchr(p, '_', f->end - f->start);
	for (i = n; i > 0;) {
		const struct record *r = record == RECORD_NONE ? NULL : &s->records[record];
		struct unit u = {.byte = p[end - 1 - f->start], .len = 1};

		if (r && r->at + r->unit.len == end) {
			u = r->unit;
			record = r->prev;
		}
		end -= u.len;
		if (spelling_sextet[u.byte] == SPELLING_NO_SEXTET)
			continue; /* a wrap */
		i--;
		value = sextet_of(bytes, f->start_bit, i, i ? spelling_sextet[u.byte] : decided);
		sextet_write(p + (end - f->start), &u, value, url);
		if (i == n - 1)
			last = value;
	}
	return last;
}

static enum rewrite_result emit_same(struct emitter *e, const struct scratch *s, const struct found *f, struct span bytes)
{
	size_t len = f->end - f->start, keep = f->lane == LANE_BASE64 && f->end_bit < 6 ? f->last - f->start : len;
	const uint8_t *end = e->in.p + e->in.len;
	unsigned last, decided;
	uint8_t *p;

	/* the last character is written too, and taken off again: its low bits are not decided */
	if (len > room(e))
		return REWRITE_ROOM;
	if (buf_append(e->out, e->in.p + f->start, len) < 0)
		return REWRITE_ERROR;
	p = e->out->p + e->out->len - len;
	if (f->lane == LANE_TEXT) {
		write_text(s, f, p, bytes);
	} else if (f->lane == LANE_HEX) {
		write_hex(p, bytes);
	} else {
		decided = spelling_sextet[base64_unit(e->in.p + f->start, end).byte];
		if (e->bits)
			decided = merge(e->bits, e->value, decided);
		last = write_base64(s, f, p, bytes, decided);
		e->bits = f->end_bit < 6 ? f->end_bit : 0;
		e->value = last >> (6 - f->end_bit);
		e->shared = base64_unit(e->in.p + f->last, end);
		e->shared_kept = false;
	}
	e->out->len -= len - keep;
	e->at = f->start + keep;
	return REWRITE_OK;
}

static enum rewrite_result emit_other(struct emitter *e, const struct found *f, const struct replacement *r)
{
	size_t i, len = escaped_length(r->bytes, r->how);
	uint8_t one[8];

	if (len > room(e))
		return REWRITE_ROOM;
	if (buf_reserve(e->out, len) < 0)
		return REWRITE_ERROR;
	for (i = 0; i < r->bytes.len; i++) {
		size_t n = escape(one, r->bytes.p[i], r->how);

		memcpy(e->out->p + e->out->len, one, n);
		e->out->len += n;
	}
	e->at = f->end;
	return REWRITE_OK;
}

/* An inert placeholder: goes out as it is, and nothing begins in it. */
static enum rewrite_result emit_kept(struct emitter *e, const struct found *f)
{
	enum rewrite_result r = emit_clean(e, f->lane == LANE_BASE64 && f->end_bit < 6 ? f->last : f->end);

	if (r == REWRITE_OK && f->lane == LANE_BASE64 && f->end_bit < 6) {
		e->shared = base64_unit(e->in.p + f->last, e->in.p + e->in.len);
		e->bits = f->end_bit;
		e->shared_kept = true;
		e->value = (unsigned)spelling_sextet[e->shared.byte] >> (6 - f->end_bit);
	}
	return r;
}

static enum rewrite_result emit_one(struct emitter *e, const struct scratch *s, const struct found *f)
{
	const struct pattern *p = &e->automaton->patterns[f->pattern];
	unsigned kinds = kinds_of(s, f);
	enum rewrite_result result;
	struct replacement r;

	r = e->scope->direction == REWRITE_REQUEST ? request_replacement(e, p, f, kinds) : response_replacement(e, p, f, kinds);
	if (e->at < f->start) { /* else f begins in the shared character, whose decided bits it takes over */
		result = emit_clean(e, f->start);
		if (result != REWRITE_OK)
			return result;
	}
	switch (r.verdict) {
	case REWRITE_STOP:
		count_hit(e, p, r.entry, r.verdict);
		return REWRITE_STOPPED;
	case REWRITE_KEEP:
		result = emit_kept(e, f);
		break;
	case REWRITE_REPLACE:
	default:
		result = begin_change(e);
		if (result == REWRITE_OK)
			result = r.how == HOW_SAME ? emit_same(e, s, f, r.bytes) : emit_other(e, f, &r);
		break;
	}
	if (result == REWRITE_OK)
		count_hit(e, p, r.entry, r.verdict);
	return result;
}

enum rewrite_result emit_found(struct emitter *e, struct scratch *s)
{
	enum rewrite_result r = REWRITE_OK;
	size_t i;

	if (s->found_used > 1)
		qsort(s->found, s->found_used, sizeof(*s->found), found_compare);
	for (i = 0; i < s->found_used && r == REWRITE_OK; i++) {
		const struct found *f = &s->found[i];

		if (!may_start(e, f))
			continue;
		if (f->start >= emit_hold(e))
			break;
		r = emit_one(e, s, f);
	}
	s->found_used = 0;
	return r;
}
