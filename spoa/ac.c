/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ac.h"

#include <stdbool.h>
#include <stdlib.h>

/* A pattern in the order of its bytes, and its chain: the states that it has and its predecessor has not. */
struct chain {
	const uint8_t *p;
	uint64_t key; /* first eight bytes, big endian: most comparisons end here */
	uint32_t len, pattern;
	uint32_t shared; /* depth of the state that the chain hangs on */
	uint32_t parent, first;
};

static uint32_t hash(uint32_t x, uint32_t y)
{
	uint64_t h = ((uint64_t)x << 8 | y) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

uint32_t ac_child(const struct ac *a, uint32_t s, uint8_t c)
{
	uint32_t i = hash(s, c);

	for (;; i++) {
		const struct ac_pair *e = &a->child[i & a->child_mask];

		if (e->value == AC_ROOT || (e->key == s && a->byte[e->value] == c))
			return e->value;
	}
}

static uint32_t suffix_of(const struct ac *a, uint32_t s)
{
	uint32_t i = hash(s, 0);

	while (a->suffix[i & a->suffix_mask].key != s)
		i++;
	return a->suffix[i & a->suffix_mask].value;
}

static void pair_insert(struct ac_pair *table, uint32_t mask, uint32_t at, struct ac_pair pair)
{
	while (table[at & mask].value != AC_ROOT)
		at++;
	table[at & mask] = pair;
}

/* A table that is at most half full, so that every search ends. */
static struct ac_pair *pair_table(struct secret_arena *arena, size_t count, uint32_t *mask)
{
	size_t size = 4;

	while (size < 2 * count)
		size *= 2;
	*mask = (uint32_t)(size - 1);
	return secret_arena_alloc(arena, size * sizeof(struct ac_pair));
}

static int chain_compare(const void *x, const void *y)
{
	const struct chain *a = x, *b = y;
	uint32_t n = a->len < b->len ? a->len : b->len;
	int d;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	d = memcmp(a->p, b->p, n);
	if (d)
		return d;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->pattern < b->pattern ? -1 : 1;
}

/* Sorted, equal ones merged into the first number. Returns how many are left. */
static size_t chains_sort(struct chain *chains, const struct span *patterns, size_t count)
{
	size_t i, j, kept = 0;

	for (i = 0; i < count; i++) {
		struct chain *c = &chains[i];

		*c = (struct chain){.p = patterns[i].p, .len = (uint32_t)patterns[i].len, .pattern = (uint32_t)i};
		for (j = 0; j < 8; j++)
			c->key = c->key << 8 | (j < c->len ? c->p[j] : 0);
	}
	qsort(chains, count, sizeof(*chains), chain_compare);
	for (i = 0; i < count; i++) {
		if (kept && chains[kept - 1].len == chains[i].len && memcmp(chains[kept - 1].p, chains[i].p, chains[i].len) == 0)
			continue;
		chains[kept++] = chains[i];
	}
	for (i = 0; i < kept; i++) {
		uint32_t n = 0;

		while (i && n < chains[i - 1].len && n < chains[i].len && chains[i - 1].p[n] == chains[i].p[n])
			n++;
		chains[i].shared = n;
	}
	return kept;
}

/* The trie: path[d] is the state at depth d of the last pattern. Fills byte, child, root_next, end and the flags but AC_SUFFIX. */
static void trie_fill(struct ac *a, struct chain *chains, size_t count, uint32_t *path)
{
	uint32_t next = 1, d;
	size_t i;

	path[0] = AC_ROOT;
	a->link[0] = AC_LEAF;
	for (i = 0; i < count; i++) {
		struct chain *c = &chains[i];

		c->parent = path[c->shared];
		c->first = next;
		if (c->parent == AC_ROOT)
			a->root_next[c->p[0]] = next;
		else if (a->link[c->parent] & AC_LEAF)
			a->link[c->parent] &= ~(uint32_t)AC_LEAF;
		else {
			a->link[c->parent] |= AC_MORE;
			pair_insert(a->child, a->child_mask, hash(c->parent, c->p[c->shared]),
			            (struct ac_pair){c->parent, next});
		}
		for (d = c->shared; d < c->len; d++) {
			path[d + 1] = next;
			a->byte[next] = c->p[d];
			a->link[next] = d + 1 < c->len ? 0 : AC_LEAF | AC_END;
			next++;
		}
		a->end[i] = (struct ac_end){next - 1, c->pattern, c->len};
	}
}

static void fail_set(struct ac *a, uint32_t s, uint32_t fail)
{
	a->link[s] |= fail << AC_FLAG_BITS;
	if (ac_hit(a, fail))
		a->link[s] |= AC_SUFFIX;
}

/* Level by level over all chains at once, because a fail state is always shallower. live[] holds the chains that reach the level. */
static size_t fail_fill(struct ac *a, const struct chain *chains, size_t count, uint32_t *live)
{
	size_t waiting = 0, lives = 0, i, kept, suffixes = 0;
	uint32_t d;

	for (d = 0; d < a->longest; d++) {
		for (i = waiting = 0; i < count && d < a->longest; i++)
			if (chains[i].shared == d)
				live[lives + waiting++] = (uint32_t)i;
		lives += waiting;
		for (i = kept = 0; i < lives; i++) {
			const struct chain *c = &chains[live[i]];
			uint32_t s = c->first + (d - c->shared), parent = d == c->shared ? c->parent : s - 1;

			if (d)
				fail_set(a, s, ac_step(a, a->link[parent] >> AC_FLAG_BITS, a->byte[s]));
			suffixes += (a->link[s] & AC_SUFFIX) != 0;
			if (d + 1 < c->len)
				live[kept++] = live[i];
		}
		lives = kept;
	}
	return suffixes;
}

static void suffix_fill(struct ac *a)
{
	uint32_t s, t;

	for (s = 1; s < a->states; s++) {
		if (!(a->link[s] & AC_SUFFIX))
			continue;
		for (t = a->link[s] >> AC_FLAG_BITS; !(a->link[t] & AC_END);)
			t = a->link[t] >> AC_FLAG_BITS;
		pair_insert(a->suffix, a->suffix_mask, hash(s, 0), (struct ac_pair){s, t});
	}
}

static const char *build(struct ac *a, struct secret_arena *arena, struct chain *chains, size_t count, uint32_t *room)
{
	static const char full[] = "the memory for secrets is full";
	size_t i, states = 1;

	for (i = 0; i < count; i++) {
		states += chains[i].len - chains[i].shared;
		if (chains[i].len > a->longest)
			a->longest = chains[i].len;
	}
	if (states >= 1u << (32 - AC_FLAG_BITS))
		return "the secrets are too many bytes for one automaton";
	a->states = (uint32_t)states;
	a->ends = (uint32_t)count;
	a->byte = secret_arena_alloc(arena, states + 1);
	a->link = secret_arena_alloc(arena, states * sizeof(*a->link));
	a->end = secret_arena_alloc(arena, (count + 1) * sizeof(*a->end));
	a->child = pair_table(arena, count, &a->child_mask);
	if (!a->byte || !a->link || !a->end || !a->child)
		return full;
	trie_fill(a, chains, count, room);
	a->suffix = pair_table(arena, fail_fill(a, chains, count, room), &a->suffix_mask);
	if (!a->suffix)
		return full;
	suffix_fill(a);
	return NULL;
}

struct ac *ac_new(struct secret_arena *arena, const struct span *patterns, size_t count, const char **why)
{
	struct ac *a = secret_arena_alloc(arena, sizeof(*a));
	size_t longest = 0, distinct, i;
	struct chain *chains;
	uint32_t *room;

	for (i = 0; i < count; i++)
		if (patterns[i].len > longest)
			longest = patterns[i].len;
	chains = calloc(count + 1, sizeof(*chains));
	room = calloc((count > longest ? count : longest) + 1, sizeof(*room));
	*why = "out of memory";
	if (a && chains && room) {
		distinct = chains_sort(chains, patterns, count);
		*why = build(a, arena, chains, distinct, room);
	}
	if (chains)
		explicit_bzero(chains, count * sizeof(*chains)); /* keys are bytes of secrets */
	free(chains);
	free(room);
	return *why ? NULL : a;
}

/* The first end at or behind s in preorder: on the way down from s along first children, because such a way ends in a leaf. */
static const struct ac_end *end_from(const struct ac *a, uint32_t s)
{
	uint32_t lo = 0, hi = a->ends;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->end[mid].state < s)
			lo = mid + 1;
		else
			hi = mid;
	}
	return &a->end[lo];
}

size_t ac_depth(const struct ac *a, uint32_t s)
{
	const struct ac_end *e;

	if (s == AC_ROOT)
		return 0;
	e = end_from(a, s);
	return e->length - (e->state - s);
}

int ac_next_pattern(const struct ac *a, uint32_t *at)
{
	uint32_t s = *at;

	if (s == AC_ROOT)
		return AC_NO_PATTERN;
	if (!(a->link[s] & AC_END)) {
		if (!(a->link[s] & AC_SUFFIX)) {
			*at = AC_ROOT;
			return AC_NO_PATTERN;
		}
		s = suffix_of(a, s);
	}
	*at = a->link[s] & AC_SUFFIX ? suffix_of(a, s) : AC_ROOT;
	return (int)end_from(a, s)->pattern;
}
