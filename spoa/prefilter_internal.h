/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The compiled prefilter. Shapes with a beginning of two or more public bytes are *anchored*: they are found by their first
 * four characters in each spelling (grams) and then walked exactly. The others are *open*: they are found as runs of a class
 * of bytes. docs/prefilter.md has the drawing and the argument.
 */
#ifndef SLAPENIR_PREFILTER_INTERNAL_H
#define SLAPENIR_PREFILTER_INTERNAL_H

#include "shape.h"

enum {
	PREFILTER_CLASSES = 8,    /* of open shapes; more are merged */
	PREFILTER_ANCHOR_MIN = 2, /* public bytes at the beginning of an anchored shape */
	PREFILTER_DEPTH = 24,     /* an anchored shape counts as found when so many of its bytes fit */
	PREFILTER_SYMBOLS = 256 + SHAPE_ALPHABETS,
	PREFILTER_WINDOW = 1024,  /* beginnings in a long run that are judged together */
};

/* ---- templates, sorted by symbol, so that those that share a beginning are neighbours (prefilter_tree.c) ---- */
struct template {
	const uint8_t *symbol; /* as struct shape's template_ */
	uint16_t length;
	uint8_t alphabet;
};

struct tree {
	const struct template *t;
	uint32_t count;
	uint32_t first[PREFILTER_SYMBOLS], end[PREFILTER_SYMBOLS]; /* templates by first symbol */
};

/* Templates lo..hi agree in the symbols before the state's depth and are longer than that. */
struct range {
	uint32_t lo, hi;
};

enum { STATE_RANGES = 48 };

struct state {
	unsigned count, depth;
	bool whole;    /* one of the templates ended with the last step */
	bool overflow; /* more ranges than there is room for: everything fits from here on */
	struct range r[STATE_RANGES];
};

int template_compare(const void *a, const void *b); /* for qsort() */
void tree_init(struct tree *tr, const struct template *t, uint32_t count);
/* The state after one more byte. false: nothing fits any more (whole may be set all the same). from->depth 0: the beginning. */
bool tree_step(const struct tree *tr, const struct state *from, uint8_t c, struct state *to);
/* Does a byte with these highest `bits` bits fit next? */
bool tree_admits_high(const struct tree *tr, const struct state *s, unsigned high, unsigned bits);

/* ---- walks from one beginning in every spelling (prefilter_walk.c) ---- */
enum { FIT_WHOLE = 1, FIT_BEGUN = 2 };

/* Which of FIT_ are true of bytes[from..); the walk ends when it has one that is wanted. */
unsigned walk_fits(const struct tree *tr, struct span bytes, size_t from, unsigned line, unsigned want);
/* Is FIT_BEGUN true in one of these codings? */
enum { CODING_TEXT = 1, CODING_HEX = 2, CODING_BASE64 = 4, CODINGS_ALL = 7 };
bool walk_begun(const struct tree *tr, struct span bytes, size_t from, unsigned line, unsigned codings);
/* The same of what begins in the first character, one of base64, at its bit number `bit` or behind it. */
unsigned walk_fits_from_bit(const struct tree *tr, struct span bytes, unsigned bit, unsigned line, unsigned want);

/* ---- the gate: a vector test for whole blocks (prefilter_gate*.c) ---- */
enum { GATE_BLOCK = 64, GATE_GRAM = 4, GATE_SLACK = GATE_GRAM - 1, GATE_BUCKETS = 8 };
enum { GATE_TEXT = 1, GATE_LINE = 2, GATE_HEAD = 4, GATE_CLASSES = 3 }; /* of runs: text and hex, base64, whatever an anchored shape is spelled with */

/* Eight or sixteen buckets, and the nibbles that are out of them: not those that are in, for a shuffle gives zero for a low nibble of a byte from
 * 128 on, and zero is out of nothing. */
struct gate_nibbles {
	uint8_t low[2][GATE_GRAM][16], high[2][GATE_GRAM][16];
	bool wide;
};

struct gate {
	/* Groups of grams: bytes fit when one bit is set in all four. Those in `escapes` are beginnings of escapes. */
	uint64_t exact[GATE_GRAM][256], escapes;
	bool spelled[256];            /* bytes among the first characters, which an escape may spell */
	uint8_t run[256];             /* GATE_ bits of the classes that hold the byte */
	unsigned text_min, line_min;  /* shortest run that matters, at least 1; 0: none does */
	unsigned head_min;            /* an anchored shape stands in so long a run that grams are looked for in such runs only; 0: everywhere */
	bool breaks;                  /* runs of base64 matter only where a line break or escape stands in them */
	/* The same for the vector forms, which may say more than is true, never less. Groups are joined into buckets. */
	uint8_t gram[GATE_GRAM][256];       /* eight buckets of exact sets */
	uint8_t gram_ascii[GATE_GRAM][128]; /* of the byte and of the one 128 above */
	struct gate_nibbles nibbles, coded; /* the latter: hex and base64, if runs are looked for first */
	bool grams, gram_above;             /* is there any gram; may one begin with a byte from 128 on */
	unsigned coded_min, head_groups;    /* a run that holds a whole one in hex or base64; groups of four in one of head_min */
	uint8_t run_out[128];               /* classes that do not hold the byte */
	uint8_t run_above[2];               /* by class: 255 when some byte from 128 on is a member, and then all count */
	uint8_t run_low[16], run_high[16], run_bits[GATE_CLASSES]; /* a member has one of its class's bits in neither */
	uint8_t shift[GATE_CLASSES][4];     /* by class: doublings and a rest that leave of groups in a row those that are enough */
	bool always[2];                     /* runs are too short for groups: look everywhere */
};

struct gate_form {
	const char *name;
	bool (*runs_here)(void);
	/* Searches blocks from, from + 64, …, or from the beginning on; the last may be cut. How many it has found in one step; 0: there is none to the
	 * end. *end: else it goes on there. */
	unsigned (*next)(const struct gate *g, struct span bytes, size_t from, struct gate_find find[GATE_FINDS], size_t *end);
};

extern const struct gate_form gate_portable, gate_ssse3, gate_avx2, gate_avx512;
const struct gate_form *gate_best(void);
void gate_finish(struct gate *g); /* fills in the tables for vectors, but for those of gate_grams_init() */

/* (prefilter_gram.c) -1: out of memory */
int gate_grams_init(struct gate *g, const struct tree *tr);
/* Can a gram begin at bytes[at], its characters spelled in any way, line breaks between them? begun: or what may become one. */
bool gate_begins(const struct gate *g, struct span bytes, size_t at, bool begun);
/* The same of an escape at bytes[at] and what begins up to three bytes in front of it. */
bool gate_escape(const struct gate *g, struct span bytes, size_t at);
/* The first place from..until where a line break that base64 goes on over may begin, or `until`; `from` when that is behind it. */
size_t gate_next_break(struct span bytes, size_t from, size_t until);
/* A line break, or what may spell one, in a block or just behind it? */
bool gate_has_break(struct span bytes, size_t block);

/* Is it a hit by the exact sets, too? */
static inline bool gate_event(const struct gate *g, struct span bytes, size_t at)
{
	uint64_t groups = UINT64_MAX;

	/* a zero byte stands for what lies behind the end: no gram has one but in the places behind a very short one */
	for (unsigned k = 0; k < GATE_GRAM; k++)
		groups &= g->exact[k][at + k < bytes.len ? bytes.p[at + k] : 0];
	return groups & ~g->escapes || (groups && gate_escape(g, bytes, at));
}

/* ---- open shapes (prefilter_open.c) ---- */
struct open_class {
	uint8_t member[256];
	uint8_t plain[256]; /* members that begin no unit but themselves */
	unsigned length; /* of the shortest shape */
};

struct prefilter {
	struct tree anchored, open;
	struct template *template;
	uint8_t *pool;
	size_t longest, shortest; /* bytes of a shape; 0: there is none */
	struct open_class open_class[PREFILTER_CLASSES];
	unsigned classes, open_longest; /* the latter: of the classes' lengths */
	size_t open_longest_shape;
	uint8_t open_member[256];       /* of some class */
	uint8_t tail[256];              /* bytes that some spelling of some shape may hold */
	struct gate gate;
	const struct gate_form *form;
};

/* Beginnings from..until in a run that is known up to `end`: the hull of those that may be whole, or an empty region. */
struct prefilter_region open_text(const struct prefilter *p, struct span bytes, size_t from, size_t until, size_t end);

/* At a line break that base64 may go on over: the hull of anchored shapes that begin up to three bytes in front of it. */
void open_break(const struct prefilter *p, struct span bytes, unsigned line, size_t at, struct prefilter_region *r);

/* Reads base64 characters from *at on, as many as one window takes, and gives the hull of beginnings of open shapes and of anchored ones
 * whose first characters a line break cuts. *at: where the next window begins; *more: the run goes on there. */
struct prefilter_region open_base64(const struct prefilter *p, struct span bytes, unsigned line, size_t *at, bool *more);

#endif
