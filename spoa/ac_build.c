/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Building the automaton. Its memory is large beside the caches, so everything goes through it in order as far as it can.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "ac.h"

static const char full[] = "the memory for secrets is full";

enum { KEYS = 2 };

/* For sorting: most comparisons end in the first bytes, which are kept here. */
struct order {
	uint64_t key[KEYS]; /* big endian */
	uint32_t len, pattern;
};

/* A pattern in the order of its bytes, and its chain: the states that it has and its predecessor has not. */
struct chain {
	const uint8_t *p;
	uint32_t len, pattern;
	uint32_t shared; /* depth of the state that the chain hangs on */
	uint32_t parent, first;
	uint32_t done;        /* states whose fail is known */
	uint32_t fail, depth; /* where the search for the next one's fail stands; its depth, but for DEEP see depth_class() */
};

static void pair_insert(uint64_t *table, uint32_t mask, uint32_t s, uint8_t c, uint32_t value)
{
	uint64_t key = ac_pair_key(s, c);
	uint32_t i = ac_pair_place(key);

	while (table[i & mask])
		i++;
	table[i & mask] = key | value;
}

static uint64_t *pair_table(struct secret_arena *arena, size_t count, uint32_t *mask)
{
	size_t size = 4;

	while (size < 2 * count)
		size *= 2;
	*mask = (uint32_t)(size - 1);
	return secret_arena_alloc(arena, size * sizeof(uint64_t));
}

static int order_compare(const void *x, const void *y, void *ctx)
{
	const struct order *a = x, *b = y;
	const struct span *patterns = ctx;
	uint32_t n = a->len < b->len ? a->len : b->len, i;
	int d = 0;

	for (i = 0; i < KEYS; i++)
		if (a->key[i] != b->key[i])
			return a->key[i] < b->key[i] ? -1 : 1;
	if (n > sizeof(a->key))
		d = memcmp(patterns[a->pattern].p + sizeof(a->key), patterns[b->pattern].p + sizeof(a->key), n - sizeof(a->key));
	if (d)
		return d;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->pattern < b->pattern ? -1 : 1;
}

static void order_fill(struct order *o, struct span pattern, size_t number)
{
	size_t i;

	*o = (struct order){.len = (uint32_t)pattern.len, .pattern = (uint32_t)number};
	for (i = 0; i < sizeof(o->key) && i < pattern.len; i++)
		o->key[i / 8] |= (uint64_t)pattern.p[i] << (56 - i % 8 * 8);
}

static uint32_t common(const struct chain *a, const struct chain *b)
{
	uint32_t n = 0;

	while (n < a->len && n < b->len && a->p[n] == b->p[n])
		n++;
	return n;
}

/* Sorted, equal ones merged into the first number. Returns how many are left. */
static size_t chains_sort(struct chain *chains, struct order *order, const struct span *patterns, size_t count)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++)
		order_fill(&order[i], patterns[i], i);
	qsort_r(order, count, sizeof(*order), order_compare, (void *)(uintptr_t)patterns);
	for (i = 0; i < count; i++) {
		struct chain c = {.p = patterns[order[i].pattern].p, .len = order[i].len, .pattern = order[i].pattern};

		c.shared = kept ? common(&chains[kept - 1], &c) : 0;
		if (kept && c.shared == c.len && chains[kept - 1].len == c.len)
			continue;
		chains[kept++] = c;
	}
	return kept;
}

/* Of a state whose fail is not known yet. */
static const uint32_t unknown = UINT32_MAX >> AC_FLAG_BITS;

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
			pair_insert(a->child, a->child_mask, c->parent, c->p[c->shared], next);
		}
		for (d = c->shared; d < c->len; d++) {
			path[d + 1] = next;
			a->byte[next] = c->p[d];
			a->link[next] = unknown << AC_FLAG_BITS | (d + 1 < c->len ? 0 : AC_LEAF | AC_END);
			next++;
		}
		a->end[i] = (struct ac_end){next - 1, c->pattern, c->len};
	}
}

static bool fail_known(const struct ac *a, uint32_t s)
{
	return a->link[s] >> AC_FLAG_BITS != unknown;
}

static void fail_set(struct ac *a, uint32_t s, uint32_t fail)
{
	a->link[s] = fail << AC_FLAG_BITS | (a->link[s] & ((1u << AC_FLAG_BITS) - 1));
	if (ac_hit(a, fail))
		a->link[s] |= AC_SUFFIX;
}

static uint32_t chain_of(const struct chain *chains, size_t count, uint32_t s)
{
	size_t lo = 0, hi = count;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (chains[mid].first <= s)
			lo = mid;
		else
			hi = mid;
	}
	return (uint32_t)lo;
}

static uint32_t child_of(const struct ac *a, uint32_t s, uint8_t c)
{
	if (!(a->link[s] & AC_LEAF) && a->byte[s + 1] == c)
		return s + 1;
	return a->link[s] & AC_MORE ? ac_child(a, s, c) : AC_ROOT;
}

/* The states of the first two levels by their bytes, and which triples of bytes may begin a pattern: what nearly all states fail to lies there, and
 * these tables stay in the cache. */
enum { TRIPLE_BITS = 18 };

struct shallow {
	uint32_t two[256][256]; /* state << 1 | ac_hit() */
	bool hit[256];          /* of the first level */
	uint64_t triple[(1 << TRIPLE_BITS) / 64];
};

static uint32_t triple_place(const uint8_t *p)
{
	return ((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]) * 0x9e3779b1u >> (32 - TRIPLE_BITS);
}

static void shallow_fill(struct ac *a, struct shallow *sh, const struct chain *chains, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (chains[i].shared == 0) {
			fail_set(a, chains[i].first, AC_ROOT);
			sh->hit[chains[i].p[0]] = ac_hit(a, chains[i].first) != 0;
		}
	for (i = 0; i < count; i++) {
		const struct chain *c = &chains[i];
		uint32_t s = c->first + 1 - c->shared;

		if (c->shared < 2 && c->len > 1) {
			fail_set(a, s, a->root_next[c->p[1]]);
			sh->two[c->p[0]][c->p[1]] = s << 1 | (ac_hit(a, s) != 0);
		}
		if (c->shared < 3 && c->len > 2) {
			uint32_t t = triple_place(c->p);

			sh->triple[t / 64] |= UINT64_C(1) << t % 64;
		}
	}
}

/* Where the search for the fail of the state behind p[0..i) begins: at the fail of the one in front of it. Its depth, as far as it matters. */
enum { DEEP = 3 };

static unsigned depth_class(const struct ac *a, const struct shallow *sh, const uint8_t *p, size_t i, uint32_t f)
{
	if (f == AC_ROOT)
		return 0;
	if (f == a->root_next[p[i - 1]])
		return 1;
	return i > 1 && f == sh->two[p[i - 2]][p[i - 1]] >> 1 ? 2 : DEEP;
}

/* The fail of the state that p[i], i > 1, leads to; c->fail and c->depth are those of the state in front of it, and then of this one. *hit: does a
 * pattern end there? */
static uint32_t fail_next(const struct ac *a, const struct shallow *sh, struct chain *c, size_t i, bool *hit)
{
	const uint8_t *p = c->p;
	uint32_t to, two, t;

	while (c->depth >= 2) {
		t = c->depth == 2 ? triple_place(p + i - 2) : 0;
		if (c->depth == DEEP || sh->triple[t / 64] >> t % 64 & 1) {
			to = child_of(a, c->fail, p[i]);
			if (to != AC_ROOT) {
				c->depth = DEEP;
				*hit = ac_hit(a, to);
				return to;
			}
		}
		if (c->depth == 2)
			break;
		c->fail = a->link[c->fail] >> AC_FLAG_BITS;
		c->depth = depth_class(a, sh, p, i, c->fail);
	}
	two = sh->two[p[i - 1]][p[i]];
	to = two ? two >> 1 : a->root_next[p[i]];
	c->depth = two ? 2 : to != AC_ROOT;
	*hit = two ? two & 1 : sh->hit[p[i]];
	return to;
}

/* Goes on with a chain up to state `last`, or until another state's fail must be known first, which is returned. AC_ROOT: done. The fail of a
 * state is set when all that it fails to in turn are known. */
static uint32_t chain_go_on(struct ac *a, const struct shallow *sh, struct chain *c, uint32_t last)
{
	for (; c->first + c->done <= last; c->done++) {
		uint32_t s = c->first + c->done, to;
		size_t i = c->shared + c->done;
		bool hit;

		if (i < 2)
			continue;
		if (c->done == 0 || i == 2) {
			uint32_t before = c->done ? s - 1 : c->parent;

			if (!fail_known(a, before))
				return before;
			c->fail = a->link[before] >> AC_FLAG_BITS;
			c->depth = depth_class(a, sh, c->p, i, c->fail);
		}
		to = fail_next(a, sh, c, i, &hit);
		if (c->depth == DEEP && !fail_known(a, to))
			return to;
		c->fail = to;
		a->link[s] = to << AC_FLAG_BITS | (a->link[s] & ((1u << AC_FLAG_BITS) - 1)) | (hit ? AC_SUFFIX : 0);
	}
	return AC_ROOT;
}

/* Chain after chain, because that is how they lie in memory. What a state waits for is shallower, so no more wait than the longest pattern has
 * bytes. */
static size_t fail_fill(struct ac *a, struct shallow *sh, struct chain *chains, size_t count, uint32_t *waiting)
{
	size_t suffixes = 0, i, depth;
	uint32_t s;

	shallow_fill(a, sh, chains, count);
	for (i = 0; i < count; i++) {
		waiting[0] = chains[i].first + (chains[i].len - chains[i].shared) - 1;
		for (depth = 1; depth;) {
			uint32_t last = waiting[depth - 1];

			s = chain_go_on(a, sh, &chains[depth == 1 ? i : chain_of(chains, count, last)], last);
			if (s == AC_ROOT)
				depth--;
			else
				waiting[depth++] = s;
		}
	}
	for (s = 1; s < a->states; s++)
		suffixes += (a->link[s] & AC_SUFFIX) != 0;
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
		pair_insert(a->suffix, a->suffix_mask, s, 0, t);
	}
}

static const char *build(struct ac *a, struct secret_arena *arena, struct chain *chains, size_t count, struct shallow *sh, uint32_t *room)
{
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
	a->suffix = pair_table(arena, fail_fill(a, sh, chains, count, room), &a->suffix_mask);
	if (!a->suffix)
		return full;
	suffix_fill(a);
	return NULL;
}

struct ac *ac_new(struct secret_arena *arena, const struct span *patterns, size_t count, const char **why)
{
	struct ac *a = secret_arena_alloc(arena, sizeof(*a));
	size_t longest = 0, distinct, i;
	struct shallow *shallow;
	struct chain *chains;
	struct order *order;
	uint32_t *room;

	for (i = 0; i < count; i++)
		if (patterns[i].len > longest)
			longest = patterns[i].len;
	shallow = calloc(1, sizeof(*shallow));
	chains = calloc(count + 1, sizeof(*chains));
	order = calloc(count + 1, sizeof(*order));
	room = calloc((count > longest ? count : longest) + 1, sizeof(*room));
	*why = a ? "out of memory" : full;
	if (a && shallow && chains && order && room) {
		distinct = chains_sort(chains, order, patterns, count);
		*why = build(a, arena, chains, distinct, shallow, room);
	}
	if (order)
		explicit_bzero(order, count * sizeof(*order)); /* bytes of secrets */
	if (shallow)
		explicit_bzero(shallow, sizeof(*shallow));
	free(shallow);
	free(chains);
	free(order);
	free(room);
	return *why ? NULL : a;
}
