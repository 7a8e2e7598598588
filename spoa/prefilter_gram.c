/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the gate looks for: of each anchored shape the first four characters in every coding, and the escapes that may stand among them.
 * They are put together into groups for the exact check, and those into buckets for vectors, so that buckets hit little of ordinary text.
 */
#include <stdlib.h>

#include "carry.h"
#include "prefilter_internal.h"
#include "spelling.h"

/* Sets of bytes, one for each of the four characters of a gram. */
struct gram {
	uint64_t set[GATE_GRAM][4];
};

enum { GROUPS = 64, CODINGS = 4, ESCAPES = 12, HIGH_NIBBLES = 16 };

/* An estimated hit in so many bytes of text is rare enough for eight buckets. */
static const double RARE = 1 / 500.0;

/* Ordinary text, source and events, some of it base64: how often each byte comes, of 10,000. */
static const uint16_t often[128] = {
	1, 1, 1, 1, 1, 1, 1, 1, 1, 149, 195, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	719, 8, 363, 7, 1, 20, 250, 10, 88, 88, 43, 45, 175, 99, 65, 45,
	97, 61, 53, 48, 86, 35, 39, 45, 49, 45, 139, 78, 16, 59, 55, 5,
	1, 68, 35, 56, 41, 74, 37, 49, 37, 59, 32, 48, 57, 52, 54, 60,
	46, 45, 47, 64, 53, 56, 34, 46, 38, 60, 32, 30, 40, 30, 1, 120,
	15, 323, 100, 304, 244, 516, 139, 94, 196, 314, 61, 69, 240, 128, 383, 327,
	174, 35, 318, 310, 514, 177, 70, 81, 89, 69, 56, 60, 22, 60, 1, 1,
};

static void set_add(uint64_t set[4], unsigned c)
{
	set[c >> 6] |= UINT64_C(1) << (c & 63);
}

static bool set_has(const uint64_t set[4], unsigned c)
{
	return set[c >> 6] >> (c & 63) & 1;
}

static void set_add_text(uint64_t set[4], const char *s)
{
	while (*s)
		set_add(set, (uint8_t)*s++);
}

static void set_fill(uint64_t set[4])
{
	memset(set, 255, 4 * sizeof(*set));
}

static void set_join(uint64_t set[4], const uint64_t more[4])
{
	for (unsigned i = 0; i < 4; i++)
		set[i] |= more[i];
}

static unsigned set_row(const uint64_t set[4], unsigned high)
{
	return set[high / 4] >> 16 * (high % 4) & 0xffff;
}

/* ---- the grams of one shape ---- */

/* The bytes that a template's first four places may hold. */
static struct gram head_of(const struct template *t)
{
	struct gram g = {0};

	for (unsigned k = 0; k < GATE_GRAM; k++) {
		struct span all = shape_alphabet_bytes((enum shape_alphabet)t->alphabet);

		if (k >= t->length)
			set_fill(g.set[k]);
		else if (t->symbol[k])
			set_add(g.set[k], t->symbol[k]);
		else
			for (size_t i = 0; i < all.len; i++)
				set_add(g.set[k], all.p[i]);
	}
	return g;
}

/* In forms a plus is a space. */
static struct gram gram_text(const struct gram *head)
{
	struct gram g = *head;

	for (unsigned k = 0; k < GATE_GRAM; k++)
		if (set_has(g.set[k], ' '))
			set_add(g.set[k], '+');
	return g;
}

static struct gram gram_hex(const struct gram *head)
{
	struct gram g = {0};

	for (unsigned c = 0; c < 512; c++) {
		unsigned byte = c & 255, k = c >> 8;

		if (!set_has(head->set[k], byte))
			continue;
		for (unsigned d = 0; d < 128; d++) {
			if (spelling_nibble[d] == byte >> 4)
				set_add(g.set[2 * k], d);
			if (spelling_nibble[d] == (byte & 15))
				set_add(g.set[2 * k + 1], d);
		}
	}
	return g;
}

/* The values that a sextet may have of which bit 0 is bit number `first` of the bytes. */
static uint64_t sextet_values(const struct gram *head, int first)
{
	uint64_t fits = UINT64_MAX;

	for (int k = first < 0 ? 0 : first / 8; 8 * k < first + 6 && k < GATE_GRAM; k++) {
		int behind = 8 * k + 8 - (first + 6); /* bits of the byte that are not in the sextet */
		unsigned mask = (behind >= 0 ? 255u >> behind : 255u << -behind) & 63;
		uint64_t partial = 0, some = 0;

		for (unsigned c = 0; c < 256; c++)
			if (set_has(head->set[k], c))
				partial |= UINT64_C(1) << ((behind >= 0 ? c >> behind : c << -behind) & 63);
		for (unsigned value = 0; value < 64; value++)
			some |= (partial >> (value & mask) & 1) << value;
		fits &= some;
	}
	return fits;
}

static struct gram gram_base64(const struct gram *head, unsigned length, unsigned offset)
{
	struct gram g = {0};

	for (unsigned j = 0; j < GATE_GRAM; j++) {
		uint64_t fits;

		if (6 * j >= 8 * length + offset) { /* behind the end of a very short one */
			set_fill(g.set[j]);
			continue;
		}
		fits = sextet_values(head, 6 * (int)j - (int)offset);
		for (unsigned c = 0; c < 256; c++)
			if (spelling_sextet[c] != SPELLING_NO_SEXTET && fits >> spelling_sextet[c] & 1)
				set_add(g.set[j], c);
	}
	return g;
}

/* ---- escapes ---- */

static void escape(struct gram *g, const char *first, const char *second, const char *third)
{
	set_add_text(g->set[0], first);
	set_add_text(g->set[1], second);
	if (third)
		set_add_text(g->set[2], third);
	else
		set_fill(g->set[2]);
	set_fill(g->set[3]);
}

/* The json letters of short escapes that spell one of the bytes. */
static void short_letters(const uint64_t bytes[4], char *letters)
{
	static const char json[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";

	for (unsigned i = 0; i < sizeof(json) - 1; i++)
		if (set_has(bytes, (uint8_t)meaning[i]))
			*letters++ = json[i];
	*letters = 0;
}

static unsigned escapes_json(struct gram *g, const uint64_t bytes[4])
{
	char letters[16];

	short_letters(bytes, letters);
	escape(&g[0], "\\", "u", "0\\%&");
	escape(&g[1], "\\", "\\", "u\\%&");
	set_add_text(g[1].set[2], letters);
	escape(&g[2], "\\", "%&", "2567#q"); /* the second character is escaped itself */
	if (letters[0])
		escape(&g[3], "\\", letters, NULL);
	return letters[0] ? 4 : 3;
}

static unsigned escapes_percent(struct gram *g, const uint64_t bytes[4])
{
	unsigned high, d;

	escape(&g[0], "%", "25", "0123456789abcdefABCDEF\\%&"); /* 25, 26 and 5C are themselves escapes */
	for (high = 0; high < HIGH_NIBBLES; high++)
		for (d = 0; d < 128 && set_row(bytes, high); d++)
			if (spelling_nibble[d] == high)
				set_add(g[0].set[1], d);
	escape(&g[1], "%", "\\%&", "u346#");
	return 2;
}

static unsigned escapes_html(struct gram *g, const uint64_t bytes[4])
{
	escape(&g[0], "&", "#", "0123456789xX\\%&");
	escape(&g[1], "&", "\\%&", "u267#");
	escape(&g[2], "&", "a", "m\\%&"); /* that of another escape */
	if (set_has(bytes, '\''))
		set_add(g[2].set[2], 'p');
	if (set_has(bytes, '<') || set_has(bytes, '>'))
		escape(&g[3], "&", "lg", "t\\%&");
	if (set_has(bytes, '"'))
		escape(&g[set_has(bytes, '<') || set_has(bytes, '>') ? 4 : 3], "&", "q", "u\\%&");
	return 3 + (set_has(bytes, '<') || set_has(bytes, '>')) + set_has(bytes, '"');
}

/* Escapes among the first characters: the first that is none but raw ends a row of at most three raw ones. text: the bytes of the first places;
 * any: of the base64 characters that spell them as well. */
static unsigned escapes(struct gram g[ESCAPES], const uint64_t text[4], const uint64_t any[4])
{
	unsigned n = escapes_json(g, any);

	n += escapes_percent(g + n, any);
	n += escapes_html(g + n, any);
	/* UTF-16: behind the zero byte comes its own byte or the next one */
	escape(&g[n], "", "\\%&+", NULL);
	set_add(g[n].set[0], 0);
	set_add(g[n].set[1], 0);
	set_join(g[n].set[1], text);
	return n + 1;
}

/* ---- groups and buckets ---- */

static struct gram gram_union(const struct gram *a, const struct gram *b)
{
	struct gram u = *a;

	for (unsigned k = 0; k < GATE_GRAM; k++)
		set_join(u.set[k], b->set[k]);
	return u;
}

/* Where the set, or the product of its nibbles, has one of ordinary bytes: the probability. */
static double set_cost(const uint64_t set[4], bool nibbles)
{
	unsigned low = 0, sum = 0, high;

	for (high = 0; high < HIGH_NIBBLES; high++)
		low |= set_row(set, high);
	for (high = 0; high < HIGH_NIBBLES; high++) {
		unsigned row = set_row(set, high);

		if (row && nibbles)
			row = low;
		if (high >= 8)
			sum += (unsigned)__builtin_popcount(row);
		else
			for (; row; row &= row - 1)
				sum += often[16 * high + (unsigned)__builtin_ctz(row)];
	}
	return sum / 10000.0;
}

static double gram_cost(const struct gram *g, bool nibbles)
{
	double cost = 1;

	for (unsigned k = 0; k < GATE_GRAM; k++)
		cost *= set_cost(g->set[k], nibbles);
	return cost;
}

struct cluster {
	struct gram g[GROUPS];
	double cost[GROUPS], grown[GROUPS][GROUPS]; /* the latter: by how much it costs more to have them in one */
	unsigned count;
	bool nibbles;
};

static void cluster_weigh(struct cluster *c, unsigned i)
{
	c->cost[i] = gram_cost(&c->g[i], c->nibbles);
	for (unsigned j = 0; j < c->count; j++) {
		struct gram u = gram_union(&c->g[i], &c->g[j]);

		c->grown[i][j] = c->grown[j][i] = gram_cost(&u, c->nibbles) - c->cost[i] - c->cost[j];
	}
}

static void cluster_init(struct cluster *c, const struct gram *g, unsigned n, bool nibbles)
{
	memcpy(c->g, g, n * sizeof(*g));
	c->nibbles = nibbles;
	for (c->count = 0; c->count < n; c->count++)
		cluster_weigh(c, c->count);
}

/* Joins the two that grow least, until there are no more than `most`. Returns the cost of all. */
static double cluster_join(struct cluster *c, unsigned most)
{
	double all = 0;
	unsigned i, j;

	while (c->count > most) {
		unsigned a = 0, b = 1;

		for (i = 0; i < c->count; i++)
			for (j = i + 1; j < c->count; j++)
				if (c->grown[i][j] < c->grown[a][b]) {
					a = i;
					b = j;
				}
		c->g[a] = gram_union(&c->g[a], &c->g[b]);
		c->g[b] = c->g[--c->count];
		if (b < c->count)
			cluster_weigh(c, b);
		cluster_weigh(c, a);
	}
	for (i = 0; i < c->count; i++)
		all += c->cost[i];
	return all;
}

static int gram_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct gram));
}

/* Equal ones once; more than `most` are joined, neighbours in order, which agree in much. Returns how many are left. */
static unsigned grams_reduce(struct gram *g, size_t n, unsigned most)
{
	size_t i, kept = 0, per;

	qsort(g, n, sizeof(*g), gram_compare);
	for (i = 0; i < n; i++)
		if (kept == 0 || gram_compare(&g[kept - 1], &g[i]) != 0)
			g[kept++] = g[i];
	per = (kept + most - 1) / most;
	if (per < 2)
		return (unsigned)kept;
	for (i = 0; i < kept; i++)
		g[i / per] = i % per ? gram_union(&g[i / per], &g[i]) : g[i];
	return (unsigned)((kept + per - 1) / per);
}

static void fill_exact(struct gate *g, const struct gram *groups, unsigned n, unsigned escapes_from)
{
	for (unsigned i = 0; i < n; i++) {
		if (i >= escapes_from)
			g->escapes |= UINT64_C(1) << i;
		for (unsigned k = 0; k < GATE_GRAM; k++)
			for (unsigned c = 0; c < 256; c++)
				g->exact[k][c] |= (uint64_t)set_has(groups[i].set[k], c) << i;
	}
}

static void fill_exact_buckets(struct gate *g, const struct gram *groups, unsigned n, struct cluster *c)
{
	cluster_init(c, groups, n, false);
	cluster_join(c, GATE_BUCKETS);
	for (unsigned i = 0; i < c->count; i++)
		for (unsigned k = 0; k < GATE_GRAM; k++)
			for (unsigned b = 0; b < 256; b++)
				g->gram[k][b] |= (uint8_t)(set_has(c->g[i].set[k], b) << i);
}

/* Eight buckets if they hit rarely, else sixteen. */
static void fill_nibbles(struct gate_nibbles *to, const struct gram *groups, unsigned n, struct cluster *c)
{
	struct cluster *narrow = c + 1;

	cluster_init(c, groups, n, true);
	cluster_join(c, 2 * GATE_BUCKETS);
	*narrow = *c;
	if (cluster_join(narrow, GATE_BUCKETS) < RARE)
		c = narrow;
	memset(to, 255, sizeof(*to));
	to->wide = c->count > GATE_BUCKETS;
	for (unsigned i = 0; i < c->count; i++)
		for (unsigned k = 0; k < GATE_GRAM; k++)
			for (unsigned b = 0; b < 256; b++)
				if (set_has(c->g[i].set[k], b)) {
					to->low[i / 8][k][b & 15] &= (uint8_t)~(1 << i % 8);
					to->high[i / 8][k][b >> 4] &= (uint8_t)~(1 << i % 8);
				}
}

/* Every different beginning, as text and coded. `any` and `plain` get the bytes that an escape there may spell. Returns how many. */
static size_t grams_collect(const struct tree *tr, struct gram *text, struct gram *coded, uint64_t plain[4], uint64_t any[4])
{
	struct gram head, before = {0};
	unsigned offset, j;
	size_t n = 0;

	for (uint32_t i = 0; i < tr->count; i++) {
		const struct template *t = &tr->t[i];

		head = head_of(t);
		if (i && memcmp(&head, &before, sizeof(head)) == 0)
			continue;
		before = head;
		for (j = 0; j < GATE_GRAM && j < t->length; j++)
			set_join(plain, head.set[j]);
		text[n++] = gram_text(&head);
		*coded++ = gram_hex(&head);
		for (offset = 0; offset < 6; offset += 2) {
			*coded = gram_base64(&head, t->length, offset);
			for (j = 0; j < GATE_GRAM && 6 * j < 8u * t->length + offset; j++)
				set_join(any, coded->set[j]);
			coded++;
		}
	}
	set_join(any, plain);
	return n;
}

/* Bytes of base64's class in a row around a whole one in hex or base64, or in front of a line break in it. */
static unsigned coded_run(const struct tree *tr)
{
	unsigned shortest = SHAPE_LENGTH_MAX;

	for (uint32_t i = 0; i < tr->count; i++)
		if (tr->t[i].length < shortest)
			shortest = tr->t[i].length;
	shortest = (8 * shortest + 5) / 6;
	return shortest < CARRY_LINE_FULL ? shortest : CARRY_LINE_FULL;
}

static void fill(struct gate *g, const struct tree *tr, struct gram *text, struct gram *coded, struct cluster *room)
{
	uint64_t plain[4] = {0}, any[4] = {0};
	struct gram group[GROUPS] = {{{{0}}}};
	unsigned texts, codes, all;
	size_t n = grams_collect(tr, text, coded, plain, any);

	texts = grams_reduce(text, n, (GROUPS - ESCAPES) / 2);
	codes = grams_reduce(coded, CODINGS * n, GROUPS - ESCAPES - texts);
	memcpy(group, coded, codes * sizeof(*group));
	memcpy(group + codes, text, texts * sizeof(*group));
	all = codes + texts + escapes(group + codes + texts, plain, any);
	fill_exact(g, group, all, codes + texts);
	for (unsigned c = 0; c < 256; c++)
		g->spelled[c] = set_has(any, c);
	fill_exact_buckets(g, group, all, room);
	g->coded_min = coded_run(tr);
	if (g->head_min)
		fill_nibbles(&g->coded, group, codes, room);
	fill_nibbles(&g->nibbles, g->head_min ? group + codes : group, g->head_min ? all - codes : all, room);
	g->grams = true;
}

int gate_grams_init(struct gate *g, const struct tree *tr)
{
	struct gram *grams = malloc((1 + CODINGS) * ((size_t)tr->count + 1) * sizeof(*grams));
	struct cluster *room = malloc(2 * sizeof(*room));
	int result = grams && room ? 0 : -1;

	if (result == 0 && tr->count)
		fill(g, tr, grams, grams + tr->count, room);
	free(grams);
	free(room);
	return result;
}

/* ---- the exact check ---- */

/* Which groups can begin at p, in any mixture of units, given that k characters have passed? */
static uint64_t begins(const struct gate *g, const uint8_t *p, const uint8_t *end, unsigned k, uint64_t groups, bool begun, bool wrapped)
{
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false;
	uint64_t all;
	unsigned n;

	if (!groups || k == GATE_GRAM)
		return groups;
	if (p == end) {
		for (; !begun && k < GATE_GRAM; k++) /* a zero byte is in the sets behind the end of short ones only */
			groups &= g->exact[k][0];
		return groups;
	}
	all = begins(g, p + 1, end, k + 1, groups & g->exact[k][*p], begun, false);
	if (!spelling_intro[*p] && *p != '\n' && *p != '\r' && (p + 1 == end || p[1]))
		return all;
	n = spelling_units(p, end, units, &partial);
	while (n--)
		all |= begins(g, p + units[n].len, end, k + 1, groups & g->exact[k][units[n].byte], begun, false);
	n = k && !wrapped ? spelling_wrap(p, end, &partial) : 0;
	if (n)
		all |= begins(g, p + n, end, k, groups, begun, true);
	return begun && partial ? all | groups : all;
}

bool gate_begins(const struct gate *g, struct span bytes, size_t at, bool begun)
{
	return begins(g, bytes.p + at, bytes.p + bytes.len, 0, ~g->escapes, begun, false);
}

/* Does an escape spell a byte that may be among the first characters? Of zero bytes it is not known here. */
static bool spells_some(const struct gate *g, const uint8_t *p, const uint8_t *end)
{
	struct unit units[SPELLING_UNITS_AT];
	bool partial = false, some = *p == 0;
	unsigned n;

	for (n = some ? 0 : spelling_units(p, end, units, &partial); n && !some; n--)
		some = g->spelled[units[n - 1].byte];
	return some;
}

bool gate_escape(const struct gate *g, struct span bytes, size_t at)
{
	size_t from = at > GATE_SLACK ? at - GATE_SLACK : 0;

	if (bytes.p[at] == 0 && bytes.len - at > 2 && !bytes.p[at + 1] && !bytes.p[at + 2])
		return false; /* no spelling has three zero bytes in a row */
	if (!spells_some(g, bytes.p + at, bytes.p + bytes.len))
		return false;
	for (; from <= at; from++)
		if (gate_begins(g, bytes, from, false))
			return true;
	return false;
}
