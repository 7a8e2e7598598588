/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Compiling: entries are copied into the arena, patterns are cut out of them, an automaton is made for each direction.
 */
#include <stdlib.h>

#include "rewrite_sieve.h"

static const char arena_full[] = "the memory for secrets is full";

static struct span keep(struct secret_arena *arena, struct span s, bool *full)
{
	struct span copy = {NULL, s.len};

	if (!s.len)
		return copy;
	copy.p = secret_arena_dup(arena, s.p, s.len);
	*full |= !copy.p;
	return copy;
}

static bool keep_entries(struct rewriter *r, struct secret_arena *arena, const struct rewrite_entry *entries, size_t count)
{
	bool full = false;
	size_t i;

	r->entries = secret_arena_alloc(arena, (count + 1) * sizeof(*r->entries));
	if (!r->entries)
		return false;
	for (i = 0; i < count && !full; i++) {
		struct rewrite_entry *e = &r->entries[i];

		*e = entries[i];
		e->name = (const char *)keep(arena, span_str(entries[i].name), &full).p;
		e->value = keep(arena, entries[i].value, &full);
		e->made = keep(arena, entries[i].made, &full);
		e->given = keep(arena, entries[i].given, &full);
		e->shape.template_ = keep(arena, span_of(entries[i].shape.template_, entries[i].shape.length), &full).p;
	}
	r->count = count;
	return !full;
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
	return a->ac ? sieve_new(&a->sieve, arena, a->patterns, a->count) : why;
}

static struct span bytes_of(const struct rewrite_entry *e, enum rewrite_match match)
{
	return match == MATCH_SECRET ? e->value : match == MATCH_MADE ? e->made : e->given;
}

struct sorted {
	struct span bytes;
	uint32_t entry;
};

static int sorted_compare(const void *x, const void *y)
{
	const struct sorted *a = x, *b = y;
	int d;

	if (a->bytes.len != b->bytes.len)
		return a->bytes.len < b->bytes.len ? -1 : 1;
	d = a->bytes.len ? memcmp(a->bytes.p, b->bytes.p, a->bytes.len) : 0;
	return d ? d : a->entry < b->entry ? -1 : 1;
}

static const char *chain_equal(struct rewriter *r, enum rewrite_match match, struct secret_arena *arena)
{
	uint32_t *next = secret_arena_alloc(arena, (r->count + 1) * sizeof(*next));
	struct sorted *sorted = calloc(r->count + 1, sizeof(*sorted));
	size_t i;

	if (next && sorted) {
		for (i = 0; i < r->count; i++)
			sorted[i] = (struct sorted){bytes_of(&r->entries[i], match), (uint32_t)i};
		qsort(sorted, r->count, sizeof(*sorted), sorted_compare);
		for (i = 0; i < r->count; i++) {
			bool same = i + 1 < r->count && span_eq(sorted[i].bytes, sorted[i + 1].bytes);

			next[sorted[i].entry] = same ? sorted[i + 1].entry : sorted[i].entry;
		}
	}
	free(sorted);
	r->next_same[match] = next;
	return !sorted ? "out of memory" : next ? NULL : arena_full;
}

static const char *prefilter_build(struct rewriter *r)
{
	struct shape_set *set = shape_set_new();
	bool full = !set;
	size_t i;

	for (i = 0; i < r->count && !full; i++) {
		const struct rewrite_entry *e = &r->entries[i];

		full = shape_set_add(set, &e->shape) < 0 || (e->given.len && shape_set_add_literal(set, e->given) < 0);
	}
	if (!full)
		r->prefilter = prefilter_new(set);
	shape_set_free(set);
	return r->prefilter ? NULL : "out of memory";
}

struct rewriter *rewriter_new(struct secret_arena *arena, const struct rewrite_entry *entries, size_t count, const char **why)
{
	struct rewriter *r = secret_arena_alloc(arena, sizeof(*r));
	unsigned d;

	*why = arena_full;
	if (!r || !keep_entries(r, arena, entries, count))
		return NULL;
	*why = prefilter_build(r);
	for (d = 0; d < 3 && !*why; d++)
		*why = chain_equal(r, d, arena);
	for (d = 0; d < 2 && !*why; d++)
		*why = automaton_build(&r->automata[d], r, d, arena);
	if (!*why)
		return r;
	rewriter_free(r);
	return NULL;
}

void rewriter_free(struct rewriter *r)
{
	if (r) /* its arena may be sealed: nothing is written */
		prefilter_free(r->prefilter);
}
