/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Streaming substitution. struct rewriter is compiled, immutable and shared (it lives in a secret arena, pointers stay
 * valid over fork); the running state of a stream is nothing but `carry` and the bytes that were not consumed, which
 * the caller presents again in front of what follows. DESIGN section 5 is the semantics, docs/engine.md the algorithm and
 * the argument why nothing observable depends on a value.
 */
#ifndef SLAPENIR_REWRITE_H
#define SLAPENIR_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "secret.h"
#include "shape.h"

/* One name of the policy, in file order. Equal values under two names are two entries. */
struct rewrite_entry {
	const char *name;
	struct span value;
	struct span made;  /* made placeholder: same length and public bytes as value */
	struct span given; /* given placeholder, or empty */
	struct shape shape;
};

struct rewriter;

/* Compiles both automata (requests: secrets and placeholders; responses: secrets). Entries are copied into the arena.
 * NULL with a static reason in *why. */
struct rewriter *rewriter_new(struct secret_arena *arena, const struct rewrite_entry *entries, size_t count, const char **why);
/* Frees what is public and outside of the arena. Call it before secret_arena_free(); NULL is allowed. */
void rewriter_free(struct rewriter *r);

enum rewrite_direction { REWRITE_REQUEST, REWRITE_RESPONSE };

/* Where the bytes stand. Decides how a *given* placeholder's secret is escaped when it goes out; made ones mirror
 * the spelling unit by unit. */
enum rewrite_place { PLACE_RAW, PLACE_JSON, PLACE_FORM, PLACE_QUERY, PLACE_PATH, PLACE_HEADER };

/* GRPC: the end of each length-prefixed message releases what is held; only made placeholders, because the lengths are promised. */
enum rewrite_framing { FRAMING_NONE, FRAMING_GRPC };

enum rewrite_match { MATCH_SECRET, MATCH_MADE, MATCH_GIVEN };

enum rewrite_verdict {
	REWRITE_KEEP,    /* goes out as it is (an inert placeholder) */
	REWRITE_REPLACE, /* secret <-> placeholder */
	REWRITE_STOP,    /* tripwire: nothing from here on is consumed, rewrite_feed returns REWRITE_STOPPED */
};

/* entry is the first in file order whose bytes matched. The callback may move it to another entry of the same bytes
 * (rewriter_next_same()), whose placeholder or value is then used. Responses are asked too (which of equal names). */
typedef enum rewrite_verdict rewrite_decide_cb(void *ctx, enum rewrite_match match, unsigned *entry);

struct rewrite_scope {
	enum rewrite_direction direction;
	enum rewrite_place place;
	enum rewrite_framing framing;
	bool made_only; /* the length was promised: always the made placeholder, never a given one */
	rewrite_decide_cb *decide; /* NULL: replace everything */
	void *ctx;
};

struct rewrite_hit { /* counted per (entry, match, verdict) */
	unsigned entry, count;
	enum rewrite_match match;
	enum rewrite_verdict verdict;
};

struct rewrite_hits { /* zero-initialised; fixed room, `lost` counts hits of names that found none */
	struct rewrite_hit hit[64];
	unsigned used, lost;
};

enum rewrite_result {
	REWRITE_OK,        /* consumed bytes are decided */
	REWRITE_ROOM,      /* the same, but output room ran out: feed the rest again at once */
	REWRITE_STOPPED,   /* a REWRITE_STOP decision; consumed ends before that occurrence */
	REWRITE_ERROR = -1 /* carry is not one of ours, or out of memory: cut the stream */
};

struct rewrite_step {
	struct span in;
	bool last; /* nothing follows `in` */
	uint8_t carry[16];
	unsigned carry_len;    /* in: of the last step (0 at the beginning); out: for the next */
	struct buf *out;       /* appended to; out->limit is the room */
	size_t consumed;       /* out */
	bool changed;          /* out: false: output is exactly in[0..consumed), and nothing was appended to out */
};

enum rewrite_result rewrite_feed(const struct rewriter *r, const struct rewrite_scope *scope, struct rewrite_step *step,
                                 struct rewrite_hits *hits) __attribute__((warn_unused_result));

/* The next entry with the same bytes for this kind of match, or the same number back when there is none after it. */
unsigned rewriter_next_same(const struct rewriter *r, enum rewrite_match match, unsigned entry);

/* One whole string that is not streamed (header value, uri part): appends to out always, changed or not. Decodes and
 * encodes `Basic` again when basic is set and value begins with it. */
enum rewrite_result rewrite_whole(const struct rewriter *r, const struct rewrite_scope *scope, struct span value, bool basic,
                                  struct buf *out, bool *changed, struct rewrite_hits *hits) __attribute__((warn_unused_result));

size_t rewriter_entries(const struct rewriter *r);
const struct rewrite_entry *rewriter_entry(const struct rewriter *r, unsigned entry);

#endif
