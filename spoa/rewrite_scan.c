/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Finding occurrences: threads over every reading of the input, region by region (rewrite_thread.h).
 */
#include <stdlib.h>

#include "rewrite_thread.h"

void scratch_init(struct scratch *s)
{
	s->records = s->own_records;
	s->found = s->own_found;
	s->records_used = s->found_used = 0;
	s->records_cap = sizeof(s->own_records) / sizeof(s->own_records[0]);
	s->found_cap = sizeof(s->own_found) / sizeof(s->own_found[0]);
}

void scratch_deinit(struct scratch *s)
{
	if (s->records != s->own_records)
		free(s->records);
	if (s->found != s->own_found)
		free(s->found);
}

static void *grow(void *p, void *own, size_t size, size_t *cap)
{
	void *bigger = malloc(2 * *cap * size);

	if (!bigger)
		return NULL;
	memcpy(bigger, p, *cap * size);
	if (p != own)
		free(p);
	*cap *= 2;
	return bigger;
}

static uint32_t record_add(struct scanner *sc, size_t at, uint32_t prev, const struct unit *u, unsigned chars)
{
	struct scratch *s = sc->scratch;

	if (s->records_used == s->records_cap) {
		void *bigger = grow(s->records, s->own_records, sizeof(*s->records), &s->records_cap);

		if (!bigger) {
			sc->failed = true;
			return RECORD_NONE;
		}
		s->records = bigger;
	}
	s->records[s->records_used] = (struct record){(uint32_t)at, prev, *u, (uint8_t)chars};
	return (uint32_t)s->records_used++;
}

size_t scan_start_of(const struct scratch *s, size_t end, uint32_t record, size_t n)
{
	while (record != RECORD_NONE) {
		const struct record *r = &s->records[record];
		size_t raw = end - (r->at + r->unit.len);

		if (n <= raw)
			break;
		n -= raw + r->chars;
		end = r->at;
		if (n == 0 && r->chars)
			break;
		record = r->prev;
	}
	return n < end ? end - n : 0;
}

void scan_report(struct scanner *sc, uint32_t state, struct found f)
{
	struct scratch *s = sc->scratch;
	uint32_t at = state;
	int pattern;

	while ((pattern = ac_next_pattern(sc->ac, &at)) != AC_NO_PATTERN) {
		size_t len = sc->patterns[pattern].len, chars = len;

		f.pattern = (uint32_t)pattern;
		f.start_bit = 0;
		if (f.lane == LANE_BASE64) {
			chars = (8 * len + 6 - f.end_bit + 5) / 6;
			f.start_bit = (uint8_t)(6 * chars - (6 - f.end_bit) - 8 * len);
		} else if (f.lane == LANE_HEX) {
			chars = 2 * len;
		}
		f.start = (uint32_t)scan_start_of(s, f.end, f.record, chars);
		if (s->found_used == s->found_cap) {
			void *bigger = grow(s->found, s->own_found, sizeof(*s->found), &s->found_cap);

			if (!bigger) {
				sc->failed = true;
				return;
			}
			s->found = bigger;
		}
		s->found[s->found_used++] = f;
	}
}

/* Have two threads that stand at `at` come the same way over the last n characters? Only then one of them is enough: the same bytes can
 * be spelled in two ways from the same start, and an occurrence that begins in between may begin at two places. */
static bool same_way(const struct scratch *s, size_t at, uint32_t a, uint32_t b, size_t n)
{
	while (a != b) {
		const struct record *x = a == RECORD_NONE ? NULL : &s->records[a], *y = b == RECORD_NONE ? NULL : &s->records[b];
		bool x_in = x && at - (x->at + x->unit.len) < n, y_in = y && at - (y->at + y->unit.len) < n;

		if (!x_in && !y_in)
			return true;
		if (x_in != y_in || x->at != y->at || x->unit.len != y->unit.len)
			return false;
		n -= at - (x->at + x->unit.len) + x->chars;
		at = x->at;
		a = x->prev;
		b = y->prev;
	}
	return true;
}

static void text_push(struct scanner *sc, size_t at, uint32_t state, uint32_t record)
{
	struct slot *slot = &sc->slot[at % SLOTS];
	unsigned i;

	for (i = 0; i < slot->texts; i++)
		if (slot->text[i].state == state && same_way(sc->scratch, at, slot->text[i].record, record, ac_depth(sc->ac, state)))
			return;
	if (slot->texts == TEXT_MAX) {
		sc->failed = true;
		return;
	}
	slot->text[slot->texts++] = (struct text_thread){state, record};
	if (at > sc->busy)
		sc->busy = at;
}

static void text_step(struct scanner *sc, size_t at, struct text_thread t, const struct unit *u)
{
	uint32_t record = t.state == AC_ROOT ? RECORD_NONE : t.record;
	size_t end = at + (u ? u->len : 1);

	t.state = ac_step(sc->ac, t.state, u ? u->byte : sc->in.p[at]);
	if (t.state == AC_ROOT)
		return;
	if (u)
		record = record_add(sc, at, record, u, 1);
	text_push(sc, end, t.state, record);
	if (ac_hit(sc->ac, t.state))
		scan_report(sc, t.state, (struct found){.end = (uint32_t)end, .last = (uint32_t)at, .record = record, .lane = LANE_TEXT});
}

static bool base64_same(const struct scanner *sc, size_t at, const struct base64_thread *a, const struct base64_thread *b)
{
	unsigned f;

	if (a->last != b->last || a->wrapped != b->wrapped || !same_way(sc->scratch, at, a->record, b->record, 1))
		return false;
	for (f = 0; f < 4; f++) { /* the phases are counted from the beginning of the run, so turn b's into a's */
		uint32_t state = a->state[(a->count + f) % 4];

		if (state != b->state[(b->count + f) % 4])
			return false;
		if (state != AC_ROOT && !same_way(sc->scratch, at, a->record, b->record, base64_span(sc, state)))
			return false;
	}
	return true;
}

static bool base64_idle(const struct base64_thread *t)
{
	return (t->state[0] | t->state[1] | t->state[2] | t->state[3]) == AC_ROOT;
}

/* What of a thread's way still matters: without a state only its last character, whose bits may be the first of an occurrence. */
static uint32_t base64_way(const struct scanner *sc, size_t at, const struct base64_thread *t)
{
	const struct record *r = t->record == RECORD_NONE ? NULL : &sc->scratch->records[t->record];

	return r && (!base64_idle(t) || r->at + r->unit.len == at) ? t->record : RECORD_NONE;
}

static void base64_push(struct scanner *sc, size_t at, const struct base64_thread *t)
{
	struct slot *slot = &sc->slot[at % SLOTS];
	unsigned i;

	for (i = 0; i < slot->base64s; i++)
		if (base64_same(sc, at, &slot->base64[i], t))
			return;
	if (slot->base64s == BASE64_MAX) {
		sc->failed = true;
		return;
	}
	slot->base64[slot->base64s++] = *t;
	if (at > sc->busy && (!base64_idle(t) || base64_way(sc, at, t) != RECORD_NONE))
		sc->busy = at;
}

/* Where the character in front of `at` begins, on the way that the records tell. */
static size_t character_before(const struct scanner *sc, size_t at, uint32_t record)
{
	while (record != RECORD_NONE) {
		const struct record *r = &sc->scratch->records[record];

		if (r->at + r->unit.len != at)
			break;
		if (r->chars)
			return r->at;
		at = r->at;
		record = r->prev;
	}
	return at - 1;
}

/* One more sextet ends a byte in three of the four phases, after 2, 4 or all 6 of its bits. */
static void base64_step(struct scanner *sc, size_t at, struct base64_thread t, unsigned sextet, const struct unit *u)
{
	size_t end = at + (u ? u->len : 1);
	unsigned both = (unsigned)t.last << 6 | sextet, bits;
	bool begins = at <= sc->limit || character_before(sc, at, t.record) < sc->limit;

	t.record = base64_way(sc, at, &t);
	if (u)
		t.record = record_add(sc, at, t.record, u, 1);
	if (t.count)
		for (bits = 2; bits <= 6; bits += 2) {
			uint32_t *state = &t.state[(t.count + 4 - bits / 2) % 4];

			if (*state == AC_ROOT && !begins)
				continue;
			*state = ac_step(sc->ac, *state, (uint8_t)(both >> (6 - bits)));
			if (*state != AC_ROOT && ac_hit(sc->ac, *state))
				scan_report(sc, *state, (struct found){.end = (uint32_t)end, .last = (uint32_t)at, .record = t.record,
				                                  .lane = LANE_BASE64, .end_bit = (uint8_t)bits});
		}
	t.last = (uint8_t)sextet;
	t.count = t.count == 7 ? 4 : (uint8_t)(t.count + 1);
	t.wrapped = false;
	if (at < sc->limit || !base64_idle(&t))
		base64_push(sc, end, &t);
}

static void base64_wrap(struct scanner *sc, size_t at, struct base64_thread t)
{
	const uint8_t *end = sc->in.p + sc->in.len;
	struct unit u = {.len = 0};
	bool partial = false;

	if (t.wrapped)
		return;
	u.len = (uint8_t)spelling_wrap(sc->in.p + at, end, &partial);
	if (!u.len || carry_line_at(sc->in, at, sc->emitter->line) < CARRY_LINE_FULL)
		return;
	t.record = record_add(sc, at, base64_way(sc, at, &t), &u, 0);
	t.wrapped = true;
	base64_push(sc, at + u.len, &t);
}

static void base64_at(struct scanner *sc, size_t at, const struct unit *units, unsigned n)
{
	static const struct base64_thread fresh = {.record = RECORD_NONE};
	struct slot *slot = &sc->slot[at % SLOTS];
	const struct base64_thread *threads = slot->base64s ? slot->base64 : &fresh;
	unsigned count = slot->base64s ? slot->base64s : at < sc->limit, i, j;
	unsigned raw = spelling_sextet[sc->in.p[at]];

	for (i = 0; i < count; i++) {
		if (raw != SPELLING_NO_SEXTET)
			base64_step(sc, at, threads[i], raw, NULL);
		else if (slot->base64s)
			base64_wrap(sc, at, threads[i]);
		for (j = 0; j < n; j++)
			if (units[j].kind < SPELLING_PLUS && spelling_sextet[units[j].byte] != SPELLING_NO_SEXTET)
				base64_step(sc, at, threads[i], spelling_sextet[units[j].byte], &units[j]);
	}
}

/* Big endian: only from its beginning on, or after another such unit. The zero byte in front of a character would else as well be the
 * one behind the character before it, and each place in a text would be one where the reading can change. */
static bool big_endian_goes_on(const struct scanner *sc, size_t at, const struct text_thread *t)
{
	const struct record *r = t->record == RECORD_NONE ? NULL : &sc->scratch->records[t->record];

	return r && r->at + r->unit.len == at && r->unit.kind == SPELLING_UTF16 && sc->in.p[r->at] == 0;
}

static void text_at(struct scanner *sc, size_t at, const struct unit *units, unsigned n)
{
	static const struct text_thread root = {AC_ROOT, RECORD_NONE};
	struct slot *slot = &sc->slot[at % SLOTS];
	const struct text_thread *threads = slot->texts ? slot->text : &root;
	unsigned count = slot->texts ? slot->texts : at < sc->limit, i, j;

	if (sc->in.p[at] == 0) { /* at most a big endian unit: no value holds a zero byte */
		for (i = 0; i < slot->texts && n; i++)
			if (big_endian_goes_on(sc, at, &threads[i]))
				text_step(sc, at, threads[i], units);
		if (n && at < sc->limit)
			text_step(sc, at, root, units);
		return;
	}
	for (i = 0; i < count; i++) {
		text_step(sc, at, threads[i], NULL);
		for (j = 0; j < n; j++)
			text_step(sc, at, threads[i], &units[j]);
	}
}

/* What changes here may have to change in scan_plain(). */
static void scan_at(struct scanner *sc, size_t at)
{
	const uint8_t *p = sc->in.p + at, *end = sc->in.p + sc->in.len;
	struct slot *slot = &sc->slot[at % SLOTS];
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false;
	unsigned n = 0;

	if (spelling_intro[*p] || (p + 1 < end && p[1] == 0))
		n = spelling_units(p, end, units, &partial);
	text_at(sc, at, units, n);
	base64_at(sc, at, units, n);
	hex_at(sc, at);
	slot->texts = slot->base64s = 0;
}

/* Nothing is under way at `at`: all found so far is final. */
static bool scan_idle(const struct scanner *sc, size_t at)
{
	const struct slot *slot = &sc->slot[at % SLOTS];
	unsigned i;

	if (sc->busy > at || slot->texts || sc->hex[0] != AC_ROOT || sc->hex[1] != AC_ROOT)
		return false;
	for (i = 0; i < slot->base64s; i++)
		if (!base64_idle(&slot->base64[i]) || base64_way(sc, at, &slot->base64[i]) != RECORD_NONE)
			return false;
	return true;
}

/* Does everything that is under way at `at` begin at `limit` or behind it? */
static bool scan_passed(const struct scanner *sc, size_t at, size_t limit)
{
	const struct slot *slot;
	size_t i, j, f;

	if (sc->hex_digits && at - 1 < limit)
		return false;
	for (i = at; i <= sc->busy || i == at; i++) {
		slot = &sc->slot[i % SLOTS];
		for (j = 0; j < slot->texts; j++)
			if (scan_start_of(sc->scratch, i, slot->text[j].record, ac_depth(sc->ac, slot->text[j].state)) < limit)
				return false;
		for (j = 0; j < slot->base64s; j++)
			for (f = 0; f < 4; f++) {
				const struct base64_thread *t = &slot->base64[j];
				size_t n = t->state[f] == AC_ROOT ? 1 : base64_span(sc, t->state[f]);

				if (scan_start_of(sc->scratch, i, t->record, n) < limit)
					return false;
			}
	}
	return hex_passed(sc, at, limit);
}

static void forget_records(struct scanner *sc, size_t at)
{
	struct slot *slot = &sc->slot[at % SLOTS];
	unsigned i;

	for (i = 0; i < slot->base64s; i++)
		slot->base64[i].record = RECORD_NONE;
	sc->scratch->records_used = 0;
}

static void scan_reset(struct scanner *sc)
{
	size_t i;

	for (i = 0; i < SLOTS; i++)
		sc->slot[i].texts = sc->slot[i].base64s = 0;
	sc->hex[0] = sc->hex[1] = AC_ROOT;
	sc->hex_digits = 0;
	sc->busy = 0;
	sc->scratch->records_used = 0;
}

/* Is all that is under way at `at` of no interest? What has gone on from the region without a pause is looked at only now and then: it
 * takes time. */
static bool scan_done(const struct scanner *sc, const struct regions *r, size_t at)
{
	if (at > r->limit && scan_idle(sc, at))
		return true;
	return at >= r->limit && (at - r->limit) % 8 == 0 && scan_passed(sc, at, r->limit);
}

/* Scans one region, and those that begin before the last occurrence of it may be over. */
static enum rewrite_result scan_region(struct scanner *sc, struct regions *r)
{
	size_t at = r->next.begin;
	enum rewrite_result result;

	scan_reset(sc);
	regions_reach(r, at);
	sc->limit = r->limit;
	for (;; at++) {
		at = scan_plain(sc, r, at);
		if (at >= sc->in.len)
			break;
		regions_reach(r, at);
	sc->limit = r->limit;
		if (scan_done(sc, r, at))
			break;
		if (sc->scratch->found_used && scan_idle(sc, at)) {
			result = emit_found(sc->emitter, sc->scratch);
			if (result != REWRITE_OK)
				return result;
			forget_records(sc, at);
		}
		scan_at(sc, at);
		if (sc->failed)
			return REWRITE_ERROR;
	}
	return emit_found(sc->emitter, sc->scratch);
}

enum rewrite_result scan(struct emitter *e, struct scratch *s)
{
	enum rewrite_result result = REWRITE_OK;
	struct regions regions;
	struct scanner sc;

	sc.ac = e->automaton->ac;
	sc.patterns = e->automaton->patterns;
	sc.emitter = e;
	sc.scratch = s;
	sc.in = e->in;
	sc.failed = false;
	regions_init(&regions, e->rewriter, e->automaton, e->in, e->line, e->at);
	while (regions.more && result == REWRITE_OK)
		result = scan_region(&sc, &regions);
	return result;
}
