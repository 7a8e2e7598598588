/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Threads where one byte is one step for each, without slots. What changes here may have to change in rewrite_scan.c.
 */
#include "rewrite_thread.h"

/* The scanner where one byte is one step: at most one text thread and one base64 thread, the latter without a record. */
struct plain {
	struct text_thread text;
	uint32_t base64[4]; /* by distance: [0] of the phase whose byte begins with the next character, [3], [2], [1] of those that it gives 2, 4, 6 bits */
	uint8_t last, count;
};

/* May anything but one step per thread happen at p[0]? */
static bool is_plain(const uint8_t *p)
{
	return !spelling_intro[p[0]] && p[0] != '\n' && p[0] != '\r' && p[1] != 0;
}

static bool plain_enter(const struct scanner *sc, size_t at, struct plain *pl)
{
	const struct slot *slot = &sc->slot[at % SLOTS];
	const struct base64_thread *t = slot->base64;
	unsigned f;

	if (at + 1 >= sc->in.len || !is_plain(sc->in.p + at) || sc->busy > at || sc->scratch->found_used || slot->texts > 1 || slot->base64s > 1 ||
	    (slot->base64s && (t->record != RECORD_NONE || t->wrapped)))
		return false;
	*pl = (struct plain){.text = {AC_ROOT, RECORD_NONE}};
	if (slot->texts)
		pl->text = slot->text[0];
	if (slot->base64s) {
		for (f = 0; f < 4; f++)
			pl->base64[f] = t->state[(t->count + f) % 4];
		pl->last = t->last;
		pl->count = t->count;
	}
	return true;
}

static bool plain_base64_idle(const struct plain *pl)
{
	return (pl->base64[0] | pl->base64[1] | pl->base64[2] | pl->base64[3]) == AC_ROOT;
}

static void plain_leave(struct scanner *sc, size_t from, size_t at, const struct plain *pl)
{
	struct slot *slot = &sc->slot[from % SLOTS];
	struct base64_thread *t;
	unsigned f;

	slot->texts = slot->base64s = 0;
	slot = &sc->slot[at % SLOTS];
	slot->texts = pl->text.state != AC_ROOT;
	slot->text[0] = pl->text;
	slot->base64s = pl->count != 0;
	t = &slot->base64[0];
	*t = (struct base64_thread){.record = RECORD_NONE, .last = pl->last, .count = pl->count};
	for (f = 0; f < 4; f++)
		t->state[(pl->count + f) % 4] = pl->base64[f];
	if (slot->texts || !plain_base64_idle(pl) || (sc->hex[0] | sc->hex[1]) != AC_ROOT)
		sc->busy = at;
}

static inline void plain_text_at(struct scanner *sc, struct plain *pl, size_t at, uint8_t c)
{
	struct text_thread *t = &pl->text;

	if (t->state == AC_ROOT) {
		if (at >= sc->limit)
			return;
		t->record = RECORD_NONE;
	}
	t->state = ac_step(sc->ac, t->state, c);
	if (t->state != AC_ROOT && ac_hit(sc->ac, t->state))
		scan_report(sc, t->state, (struct found){.end = (uint32_t)at + 1, .last = (uint32_t)at, .record = t->record, .lane = LANE_TEXT});
}

static inline void plain_base64_at(struct scanner *sc, struct plain *pl, size_t at, uint8_t c)
{
	unsigned sextet = spelling_sextet[c], both = (unsigned)pl->last << 6 | sextet, bits;
	uint32_t *state = pl->base64, whole;

	if (sextet == SPELLING_NO_SEXTET) {
		state[0] = state[1] = state[2] = state[3] = AC_ROOT;
		pl->count = 0;
		return;
	}
	if (pl->count)
		for (bits = 2; bits <= 6; bits += 2) {
			uint32_t *s = &state[4 - bits / 2];

			if (*s == AC_ROOT && at > sc->limit)
				continue;
			*s = ac_step(sc->ac, *s, (uint8_t)(both >> (6 - bits)));
			if (*s != AC_ROOT && ac_hit(sc->ac, *s))
				scan_report(sc, *s, (struct found){.end = (uint32_t)at + 1, .last = (uint32_t)at, .record = RECORD_NONE,
				                              .lane = LANE_BASE64, .end_bit = (uint8_t)bits});
		}
	else if (at >= sc->limit)
		return;
	whole = state[0];
	state[0] = state[1];
	state[1] = state[2];
	state[2] = state[3];
	state[3] = whole;
	pl->last = (uint8_t)sextet;
	pl->count = pl->count == 7 ? 4 : (uint8_t)(pl->count + 1);
	if (at >= sc->limit && plain_base64_idle(pl))
		pl->count = 0;
}

/* Does everything that is under way begin at the limit or behind it? */
static bool plain_passed(const struct scanner *sc, const struct plain *pl, size_t at)
{
	unsigned f;

	if (pl->text.state != AC_ROOT && scan_start_of(sc->scratch, at, pl->text.record, ac_depth(sc->ac, pl->text.state)) < sc->limit)
		return false;
	for (f = 0; f < 4 && pl->count; f++)
		if (pl->base64[f] != AC_ROOT && at < sc->limit + base64_span(sc, pl->base64[f]))
			return false;
	return at > sc->limit && hex_passed(sc, at, sc->limit);
}

size_t scan_plain(struct scanner *sc, const struct regions *r, size_t at)
{
	size_t end = r->more && r->next.begin < sc->in.len ? r->next.begin : sc->in.len - 1, from = at;
	const uint8_t *p = sc->in.p;
	struct plain pl;

	if (!plain_enter(sc, at, &pl))
		return at;
	while (at < end && is_plain(p + at) && !sc->scratch->found_used) {
		plain_text_at(sc, &pl, at, p[at]);
		plain_base64_at(sc, &pl, at, p[at]);
		hex_at(sc, at);
		at++;
		if (at > sc->limit && (at % 8 == 0 || (pl.text.state | sc->hex[0] | sc->hex[1]) == AC_ROOT) && plain_passed(sc, &pl, at))
			break;
	}
	if (at != from)
		plain_leave(sc, from, at, &pl);
	return at;
}
