/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is public of a secret, and only that: its length, a literal prefix if the table of known token formats has it,
 * every byte that is no ASCII letter or digit at its place, and one alphabet for all other positions. Pure: linked by
 * the agent and by the HAProxy filter alike, holds nothing of a secret but its shape.
 */
#ifndef SLAPENIR_SHAPE_H
#define SLAPENIR_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum shape_alphabet { SHAPE_DIGIT, SHAPE_HEX_LOWER, SHAPE_HEX_UPPER, SHAPE_LOWER, SHAPE_UPPER, SHAPE_ALNUM, SHAPE_ALPHABETS };

enum { SHAPE_LENGTH_MAX = 4096 };

/* template_: length bytes; a NUL stands for a position of the alphabet, anything else is that public byte (the literal
 * prefix included). No secret and no placeholder holds a NUL. */
struct shape {
	enum shape_alphabet alphabet;
	uint16_t length;
	uint16_t prefix_length; /* of the literal prefix from the table or the policy */
	const uint8_t *template_;
};

bool shape_alphabet_has(enum shape_alphabet a, uint8_t c);
struct span shape_alphabet_bytes(enum shape_alphabet a); /* ascending */

/* Positions of the alphabet: what a guesser would have to find. */
size_t shape_free_bytes(const struct shape *s);

/* The patterns of a shape: itself, or, when it has a newline, each line of 16 bytes or more that is not wholly public. *at begins as
 * 0. *offset: where the pattern begins in the whole. */
bool shape_next_line(const struct shape *whole, size_t *at, struct shape *line, size_t *offset);

/* A set as it stands in the file $STATE/haproxy/shapes and as the prefilter is built from. Literals are the given
 * placeholders. Order does not matter; equal members are kept once; a shape of several lines is kept as its lines. */
struct shape_set;

struct shape_set *shape_set_new(void);
void shape_set_free(struct shape_set *s);
int shape_set_add(struct shape_set *s, const struct shape *shape);    /* -1: out of memory, or a length that is 0 or above SHAPE_LENGTH_MAX */
int shape_set_add_literal(struct shape_set *s, struct span literal);
int shape_set_merge(struct shape_set *into, const struct shape_set *from);
size_t shape_set_count(const struct shape_set *s);

/* The file: magic, version, length, checksum, generation, epoch, prefilter flag, then shapes and literals.
 * `epoch` changes when cached verdicts must die although the generation stays (an agent was suspended).
 * Decoding checks everything and returns NULL with a static reason in *why for whatever is not exactly a valid file. */
struct shape_file_header {
	uint8_t generation[8];
	uint64_t epoch;
	bool prefilter; /* false: exchange everything */
};
int shape_set_encode(struct buf *out, const struct shape_set *s, const struct shape_file_header *h);
struct shape_set *shape_set_decode(struct span file, struct shape_file_header *h, const char **why);

/* Finds the shape of a value: alphabet, public bytes; prefix from the table of known token formats or `prefix` (may be
 * empty). template_ is written into `room`, which holds value.len bytes. */
void shape_of(struct shape *out, struct span value, struct span prefix, uint8_t *room);

/* The prefilter: compiled, immutable. */
struct prefilter;
struct prefilter *prefilter_new(const struct shape_set *s); /* NULL: out of memory */
void prefilter_free(struct prefilter *p);

/* Could these bytes, at the beginning, in the middle or at the end, hold a secret or placeholder of the set in any
 * spelling that the engine knows, whole or begun? false is a promise: the engine would change, hold and report nothing
 * (when it starts without decided bits in carry). `last`: nothing follows, so a begun one does not count. */
bool prefilter_candidate(const struct prefilter *p, struct span bytes, bool last);

/* For the engine: where whole ones may begin. A scan runs once over the bytes, forwards; it points to them and to p and owns
 * nothing. `line`: base64 characters of the current line in front of the bytes (carry.h). */
struct prefilter_region {
	size_t begin, end; /* of possible beginnings */
};

/* For struct prefilter_scan alone: a block of 64 bytes that deserves a look (prefilter_internal.h says more). */
struct gate_find {
	size_t block;    /* where it begins */
	uint64_t events; /* bit i: at block + i stands a gram, or an escape that belongs to one that begins up to three bytes in front of it */
	bool text, line; /* a run that is long enough ends in the block, or in the vector forms in the three bytes behind it */
};

enum { GATE_FINDS = 4 };

struct prefilter_scan {
	const struct prefilter *p;
	struct span bytes;
	unsigned line;
	size_t quiet;                    /* every beginning before it is found or excluded */
	struct gate_find find[GATE_FINDS]; /* blocks that the gate has named */
	unsigned finds, finds_taken;
	size_t gate_end;                 /* how far it has searched */
	size_t seen, block;              /* how far blocks have been taken, and the one that ends there */
	uint64_t events;                 /* its places not yet walked */
	bool more;                       /* base64 goes on where it was searched last */
	size_t text, base64;             /* how far runs have been searched */
	size_t text_end, line_end;       /* and how far they have to be */
	struct prefilter_region next[3]; /* found and not yet passed: anchored, text runs, base64 runs */
};

void prefilter_scan_init(struct prefilter_scan *s, const struct prefilter *p, struct span bytes, unsigned line);
/* The next region that ends after `from`; its begin is `from` at least. false: there is none. `from` never goes back. */
bool prefilter_next(struct prefilter_scan *s, size_t from, struct prefilter_region *r);

/* The smallest s such that bytes[s..) spell a proper beginning of a shape; bytes.len: none does. Whatever the values, exactly this
 * is held back. */
size_t prefilter_hold(const struct prefilter *p, struct span bytes, unsigned line);

/* The first character is one of base64 and its `bits` high bits (2 or 4) are decided: do the bits behind them and what follows spell a proper
 * beginning, up to the end? */
bool prefilter_begins_in_bits(const struct prefilter *p, struct span bytes, unsigned bits, unsigned line);

#endif
