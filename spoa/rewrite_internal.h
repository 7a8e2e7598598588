/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between the parts of the engine: rewrite.c (streams), rewrite_build.c (compiling), rewrite_scan.c (finding occurrences),
 * rewrite_emit.c (choosing and writing them).
 */
#ifndef SLAPENIR_REWRITE_INTERNAL_H
#define SLAPENIR_REWRITE_INTERNAL_H

#include "ac.h"
#include "carry.h"
#include "rewrite.h"
#include "spelling.h"

/* Bytes of an entry that are looked for: a whole value or placeholder, or a line of one. */
struct pattern {
	const uint8_t *p;
	uint32_t len, offset; /* offset: of the line in its value */
	uint32_t entry;
	uint8_t match;                /* enum rewrite_match */
	bool windows;                 /* it has some (rewrite_window.h) */
	uint8_t text_row, coded_row;  /* the byte with which the first begins, as text and else */
};

struct automaton { /* of one direction */
	struct ac *ac;
	struct pattern *patterns;
	struct windows *windows; /* of patterns that can have them; NULL: none can */
	size_t count;
};

struct rewriter {
	struct automaton automata[2]; /* by enum rewrite_direction */
	struct rewrite_entry *entries;
	uint32_t *next_same[3]; /* by enum rewrite_match */
	size_t count;
	/* Public, outside of the arena; the second is of the shapes of which some pattern has no windows. */
	struct prefilter *prefilter, *windowless;
};

/* A unit of more than one byte, or a wrap, on the way of a thread. Records form chains, newest first. */
struct record {
	uint32_t at, prev;
	struct unit unit;
	uint8_t chars; /* 1, or 0 for a wrap */
};

enum { RECORD_NONE = UINT32_MAX };

enum lane { LANE_TEXT, LANE_HEX, LANE_BASE64 };

/* An occurrence: in[start..end) with start_bit of the first and all but the last 6 - end_bit bits of the last base64 character. */
struct found {
	uint32_t start, end, last; /* last: where the last unit begins */
	uint32_t record;
	uint32_t pattern;
	uint8_t lane, start_bit, end_bit;
};

/* Grows by malloc() only past its own room, which fits all but adversarial input. */
struct scratch {
	struct record *records;
	struct found *found;
	size_t records_used, records_cap, found_used, found_cap;
	struct record own_records[256];
	struct found own_found[64];
};

void scratch_init(struct scratch *s);
void scratch_deinit(struct scratch *s);

/* Chosen and written so far. in[0..at) is decided; `bits` high bits of the base64 character at `at` are decided too, as `value`. */
struct emitter {
	const struct rewriter *rewriter;
	const struct automaton *automaton;
	const struct rewrite_scope *scope;
	struct rewrite_hits *hits;
	struct span in;
	unsigned line; /* base64 characters of the current line in front of `in` */
	bool last;
	struct buf *out;
	bool changed, hold_known;
	size_t at, hold; /* hold is for emit_hold() alone */
	unsigned bits, value;
	struct unit shared; /* the unit at `at` when bits != 0 */
	bool shared_kept;   /* its bits are those of the input */
};

/* Finds all occurrences and gives them to emit_found() whenever nothing is under way any more. */
enum rewrite_result scan(struct emitter *e, struct scratch *s) __attribute__((warn_unused_result));

/* Takes what is found and clears it. REWRITE_OK: go on. */
enum rewrite_result emit_found(struct emitter *e, struct scratch *s) __attribute__((warn_unused_result));
/* in[at..upto) goes out as it is. */
enum rewrite_result emit_clean(struct emitter *e, size_t upto) __attribute__((warn_unused_result));

/* The unit at p that spells a base64 character, or len 0. */
struct unit base64_unit(const uint8_t *p, const uint8_t *end);
/* Where what is held begins now that in[..at) is decided; asked for late, when the end of the input has been read anyway. The decided bits of a
 * shared character are not looked at: in the input they are still the secret's. */
size_t emit_hold(struct emitter *e);

#endif
