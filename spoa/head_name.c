/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "head_name.h"

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 32 : c;
}

static size_t longest_run(struct span s)
{
	size_t run = 0, longest = 0;

	for (size_t i = 0; i < s.len; i++) {
		run = is_alnum(s.p[i]) ? run + 1 : 0;
		if (run > longest)
			longest = run;
	}
	return longest;
}

/* A NUL of the template stands for a letter or digit. */
static size_t longest_run_of_shape(const struct shape *s)
{
	size_t run = 0, longest = 0;

	for (size_t i = 0; i < s->length; i++) {
		run = s->template_[i] == 0 || is_alnum(s->template_[i]) ? run + 1 : 0;
		if (run > longest)
			longest = run;
	}
	return longest;
}

size_t head_name_shortest_run(const struct rewriter *r)
{
	size_t shortest = SIZE_MAX;

	for (unsigned i = 0; i < rewriter_entries(r); i++) {
		const struct rewrite_entry *e = rewriter_entry(r, i);
		size_t at = 0, offset;
		struct shape line;

		while (shape_next_line(&e->shape, &at, &line, &offset)) {
			size_t run = longest_run_of_shape(&line);

			if (run < shortest)
				shortest = run;
		}
	}
	return shortest;
}

static bool equal_lowered(const uint8_t *name, const uint8_t *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower(name[i]) != lower(value[i]))
			return false;
	return true;
}

/* Takes hit for the best so far: an occurrence in front of it, or a longer one at the same place, is better. */
static void find_value(struct span value, struct span name, size_t from, struct head_name_hit *hit, bool *found, unsigned entry, size_t offset)
{
	for (size_t at = from; at <= name.len && value.len <= name.len - at; at++) {
		if (*found && (at > hit->at || (at == hit->at && value.len <= hit->len)))
			return;
		if (equal_lowered(name.p + at, value.p, value.len)) {
			*hit = (struct head_name_hit){at, value.len, entry, offset};
			*found = true;
			return;
		}
	}
}

bool head_name_find(const struct rewriter *r, size_t shortest_run, struct span name, size_t from, struct head_name_hit *hit)
{
	bool found = false;

	if (longest_run(name) < shortest_run)
		return false;
	for (unsigned i = 0; i < rewriter_entries(r); i++) {
		const struct rewrite_entry *e = rewriter_entry(r, i);
		size_t at = 0, offset;
		struct shape line;

		while (shape_next_line(&e->shape, &at, &line, &offset))
			find_value(span_of(e->value.p + offset, line.length), name, from, hit, &found, i, offset);
	}
	return found;
}

static void count(struct rewrite_hits *hits, unsigned entry)
{
	for (unsigned i = 0; i < hits->used; i++)
		if (hits->hit[i].entry == entry && hits->hit[i].verdict == REWRITE_REPLACE && hits->hit[i].match == MATCH_SECRET) {
			hits->hit[i].count++;
			return;
		}
	if (hits->used == sizeof(hits->hit) / sizeof(hits->hit[0]))
		hits->lost++;
	else
		hits->hit[hits->used++] = (struct rewrite_hit){.entry = entry, .count = 1, .match = MATCH_SECRET, .verdict = REWRITE_REPLACE};
}

int head_name_sanitize(const struct rewriter *r, size_t shortest_run, struct span name, struct buf *out, struct rewrite_hits *hits)
{
	size_t begin = out->len, from = 0;
	struct head_name_hit hit;

	if (buf_append_span(out, name) < 0)
		return -1;
	while (head_name_find(r, shortest_run, name, from, &hit)) {
		const uint8_t *made = rewriter_entry(r, hit.entry)->made.p + hit.offset;

		for (size_t i = 0; i < hit.len; i++)
			out->p[begin + hit.at + i] = lower(made[i]);
		count(hits, hit.entry);
		from = hit.at + hit.len;
	}
	return from != 0;
}
