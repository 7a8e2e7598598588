/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Threads walk over the input side by side: a text thread takes units, a base64 thread sextets in all four phases at once, two hex states
 * digits. slot[i % SLOTS] holds the threads that stand at in[i]; a unit of n bytes moves a copy n slots on. A state that is the root is not
 * kept: where no thread stands, one begins. rewrite_scan.c takes all steps, rewrite_plain.c those where one byte is one step.
 */
#ifndef SLAPENIR_REWRITE_THREAD_H
#define SLAPENIR_REWRITE_THREAD_H

#include "rewrite_regions.h"

enum { SLOTS = 16, TEXT_MAX = 16, BASE64_MAX = 12 }; /* SLOTS > SPELLING_UNIT_MAX */

struct text_thread {
	uint32_t state, record;
};

/* state[f]: the phase in which character f of four begins a byte triple. `last` is the last sextet, count saturates at 4..7, so
 * that count % 4 stays right. */
struct base64_thread {
	uint32_t state[4], record;
	uint8_t last, count;
	bool wrapped;
};

struct slot {
	unsigned texts, base64s;
	struct text_thread text[TEXT_MAX];
	struct base64_thread base64[BASE64_MAX];
};

struct scanner {
	const struct ac *ac;
	const struct pattern *patterns;
	struct emitter *emitter;
	struct scratch *scratch;
	struct span in;
	struct slot slot[SLOTS];
	uint32_t hex[2];
	unsigned hex_digits; /* in the run so far, at most 2 */
	size_t busy;         /* no thread with a state, or behind a unit, stands behind it */
	size_t limit;        /* no thread begins here or behind it */
	bool failed;         /* too many threads, or out of memory */
};

/* All patterns that end in this state; f tells the rest. */
void scan_report(struct scanner *sc, uint32_t state, struct found f);
/* Where the last n characters in front of `end` begin, on the way that the records tell. */
size_t scan_start_of(const struct scratch *s, size_t end, uint32_t record, size_t n);

/* The same steps as scan_at()'s, for the most bytes: as long as one byte is one step. Returns where the scanner stands then, which is where it
 * began when there is no such byte. */
size_t scan_plain(struct scanner *sc, const struct regions *r, size_t at);

/* So many characters at most hold what a base64 state remembers. */
static inline size_t base64_span(const struct scanner *sc, uint32_t state)
{
	return (8 * ac_depth(sc->ac, state) + 10) / 6;
}

/* Takes the digit at `at`, or ends the run. */
static inline void hex_at(struct scanner *sc, size_t at)
{
	unsigned digit = spelling_nibble[sc->in.p[at]];
	uint32_t *state = &sc->hex[at % 2];

	if (digit > 15) {
		sc->hex[0] = sc->hex[1] = AC_ROOT;
		sc->hex_digits = 0;
		return;
	}
	if (sc->hex_digits < 1) {
		sc->hex_digits = 1;
		return;
	}
	if (*state == AC_ROOT && at > sc->limit)
		return;
	*state = ac_step(sc->ac, *state, (uint8_t)(spelling_nibble[sc->in.p[at - 1]] << 4 | digit));
	if (*state == AC_ROOT)
		return;
	if (at + 1 > sc->busy)
		sc->busy = at + 1;
	if (ac_hit(sc->ac, *state))
		scan_report(sc, *state, (struct found){.end = (uint32_t)at + 1, .last = (uint32_t)at - 1, .record = RECORD_NONE, .lane = LANE_HEX});
}

/* Does what is under way in hex begin at `limit` or behind it? */
static inline bool hex_passed(const struct scanner *sc, size_t at, size_t limit)
{
	for (unsigned f = 0; f < 2; f++)
		if (sc->hex[f] != AC_ROOT && at < limit + 2 * ac_depth(sc->ac, sc->hex[f]) + 1)
			return false;
	return true;
}

#endif
