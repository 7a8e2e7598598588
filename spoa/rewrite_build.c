/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Compiling: entries are copied into the arena, patterns are cut out of them, an automaton is made for each direction.
 */
#include <stdlib.h>

#include "rewrite_window.h"

static const char arena_full[] = "the memory for secrets is full";

/* All bytes of the entries lie in one block: ten thousand blocks of their own would waste a third of the memory. */
static struct span keep(uint8_t **room, struct span s)
{
	struct span copy = span_of(s.len ? *room : NULL, s.len);

	if (s.len)
		memcpy(*room, s.p, s.len);
	*room += s.len;
	return copy;
}

static size_t bytes_in(const struct rewrite_entry *e)
{
	return strlen(e->name) + 1 + e->value.len + e->made.len + e->given.len + e->shape.length;
}

static bool keep_entries(struct rewriter *r, struct secret_arena *arena, const struct rewrite_entry *entries, size_t count)
{
	size_t bytes = 0, i;
	uint8_t *room;

	for (i = 0; i < count; i++)
		bytes += bytes_in(&entries[i]);
	r->entries = secret_arena_alloc(arena, (count + 1) * sizeof(*r->entries));
	room = secret_arena_alloc(arena, bytes + 1);
	if (!r->entries || !room)
		return false;
	for (i = 0; i < count; i++) {
		struct rewrite_entry *e = &r->entries[i];

		*e = entries[i];
		e->name = (const char *)keep(&room, span_of(entries[i].name, strlen(entries[i].name) + 1)).p;
		e->value = keep(&room, entries[i].value);
		e->made = keep(&room, entries[i].made);
		e->given = keep(&room, entries[i].given);
		e->shape.template_ = keep(&room, span_of(entries[i].shape.template_, entries[i].shape.length)).p;
	}
	r->count = count;
	return true;
}

static void add_lines(struct automaton *a, const struct rewrite_entry *e, size_t number, enum rewrite_match match)
{
	const uint8_t *p = match == MATCH_SECRET ? e->value.p : e->made.p;
	size_t at = 0, offset;
	struct shape line;

	while (shape_next_line(&e->shape, &at, &line, &offset)) {
		if (a->patterns)
			a->patterns[a->count] = (struct pattern){.p = p + offset, .len = line.length, .offset = (uint32_t)offset,
			                                         .entry = (uint32_t)number, .match = match};
		a->count++;
	}
}

/* Without room for patterns it only counts them. */
static void add_patterns(struct automaton *a, const struct rewriter *r, enum rewrite_direction direction)
{
	size_t i;

	a->count = 0;
	for (i = 0; i < r->count; i++) {
		const struct rewrite_entry *e = &r->entries[i];

		add_lines(a, e, i, MATCH_SECRET);
		if (direction == REWRITE_RESPONSE)
			continue;
		add_lines(a, e, i, MATCH_MADE);
		if (!e->given.len)
			continue;
		if (a->patterns)
			a->patterns[a->count] = (struct pattern){.p = e->given.p, .len = (uint32_t)e->given.len, .entry = (uint32_t)i,
			                                         .match = MATCH_GIVEN};
		a->count++;
	}
}

static const char *automaton_build(struct automaton *a, const struct rewriter *r, enum rewrite_direction direction, struct secret_arena *arena)
{
	struct span *spans;
	const char *why;
	size_t i;

	add_patterns(a, r, direction);
	a->patterns = secret_arena_alloc(arena, (a->count + 1) * sizeof(*a->patterns));
	if (!a->patterns)
		return arena_full;
	add_patterns(a, r, direction);
	spans = calloc(a->count + 1, sizeof(*spans));
	if (!spans)
		return "out of memory";
	for (i = 0; i < a->count; i++)
		spans[i] = span_of(a->patterns[i].p, a->patterns[i].len);
	a->ac = ac_new(arena, spans, a->count, &why);
	free(spans);
	return a->ac ? windows_new(&a->windows, arena, a->patterns, a->count, r->entries) : why;
}

static struct span bytes_of(const struct rewrite_entry *e, enum rewrite_match match)
{
	return match == MATCH_SECRET ? e->value : match == MATCH_MADE ? e->made : e->given;
}

struct sorted {
	uint64_t hash;
	uint32_t entry;
};

static uint64_t hash_of(struct span s)
{
	uint64_t h = s.len;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * UINT64_C(0x9e3779b97f4a7c15), h ^= h >> 29;
	return h;
}

static int sorted_compare(const void *x, const void *y)
{
	const struct sorted *a = x, *b = y;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->entry < b->entry ? -1 : 1;
}

/* Equal values have equal hashes, so they are near one another when sorted. */
static const char *chain_equal(struct rewriter *r, enum rewrite_match match, struct secret_arena *arena)
{
	uint32_t *next = secret_arena_alloc(arena, (r->count + 1) * sizeof(*next));
	struct sorted *sorted = calloc(r->count + 1, sizeof(*sorted));
	size_t i, j;

	if (next && sorted) {
		for (i = 0; i < r->count; i++)
			sorted[i] = (struct sorted){hash_of(bytes_of(&r->entries[i], match)), (uint32_t)i};
		qsort(sorted, r->count, sizeof(*sorted), sorted_compare);
		for (i = 0; i < r->count; i++) {
			uint32_t entry = sorted[i].entry;

			next[entry] = entry;
			for (j = i + 1; j < r->count && sorted[j].hash == sorted[i].hash && next[entry] == entry; j++)
				if (span_eq(bytes_of(&r->entries[entry], match), bytes_of(&r->entries[sorted[j].entry], match)))
					next[entry] = sorted[j].entry;
		}
		explicit_bzero(sorted, r->count * sizeof(*sorted));
	}
	free(sorted);
	r->next_same[match] = next;
	return !sorted ? "out of memory" : next ? NULL : arena_full;
}

static int add_shapes(struct shape_set *set, const struct rewriter *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct rewrite_entry *e = &r->entries[i];

		if (shape_set_add(set, &e->shape) < 0 || (e->given.len && shape_set_add_literal(set, e->given) < 0))
			return -1;
	}
	return 0;
}

/* Shapes of which some pattern has no windows. */
static int add_windowless(struct shape_set *set, const struct rewriter *r)
{
	const struct automaton *a = &r->automata[REWRITE_REQUEST]; /* it has all patterns */

	for (size_t i = 0; i < a->count; i++) {
		const struct pattern *p = &a->patterns[i];
		const struct rewrite_entry *e = &r->entries[p->entry];

		if (p->windows)
			continue;
		if ((p->match == MATCH_GIVEN ? shape_set_add_literal(set, e->given) : shape_set_add(set, &e->shape)) < 0)
			return -1;
	}
	return 0;
}

static const char *prefilter_build(struct prefilter **out, const struct rewriter *r, int (*add)(struct shape_set *, const struct rewriter *))
{
	struct shape_set *set = shape_set_new();

	if (set && add(set, r) == 0)
		*out = prefilter_new(set);
	shape_set_free(set);
	return *out ? NULL : "out of memory";
}

struct rewriter *rewriter_new(struct secret_arena *arena, const struct rewrite_entry *entries, size_t count, const char **why)
{
	struct rewriter *r = secret_arena_alloc(arena, sizeof(*r));
	unsigned d;

	*why = arena_full;
	if (!r || !keep_entries(r, arena, entries, count))
		return NULL;
	*why = NULL;
	for (d = 0; d < 3 && !*why; d++)
		*why = chain_equal(r, d, arena);
	for (d = 0; d < 2 && !*why; d++)
		*why = automaton_build(&r->automata[d], r, d, arena);
	if (!*why)
		*why = prefilter_build(&r->prefilter, r, add_shapes);
	if (!*why)
		*why = prefilter_build(&r->windowless, r, add_windowless);
	if (!*why)
		return r;
	rewriter_free(r);
	return NULL;
}

void rewriter_free(struct rewriter *r)
{
	if (!r) /* its arena may be sealed: nothing is written */
		return;
	prefilter_free(r->prefilter);
	prefilter_free(r->windowless);
}
