/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shape_set.h"

#include <stdlib.h>

static uint64_t member_hash(const struct shape_member *m)
{
	uint64_t h = 0xcbf29ce484222325u ^ (unsigned)m->shape.alphabet ^ (uint64_t)m->literal << 8;

	for (size_t i = 0; i < m->shape.length; i++)
		h = (h ^ m->shape.template_[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

/* prefix_length says no more than the template does, so it does not tell members apart. */
static bool member_eq(const struct shape_member *a, const struct shape_member *b)
{
	return a->literal == b->literal && a->shape.alphabet == b->shape.alphabet && a->shape.length == b->shape.length &&
	       memcmp(a->shape.template_, b->shape.template_, a->shape.length) == 0;
}

struct shape_set *shape_set_new(void)
{
	return calloc(1, sizeof(struct shape_set));
}

void shape_set_free(struct shape_set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		free((void *)(uintptr_t)s->member[i].shape.template_);
	free(s->member);
	free(s->index);
	free(s);
}

size_t shape_set_count(const struct shape_set *s)
{
	return s->count;
}

/* The slot of an equal member, or the empty one where it belongs. */
static uint32_t *set_slot(struct shape_set *s, const struct shape_member *m)
{
	size_t at = member_hash(m) & (s->index_size - 1);

	while (s->index[at] && !member_eq(&s->member[s->index[at] - 1], m))
		at = (at + 1) & (s->index_size - 1);
	return &s->index[at];
}

static int set_grow(struct shape_set *s)
{
	size_t room = s->room ? 2 * s->room : 16, i;
	struct shape_member *member;
	uint32_t *index;

	if (s->count < s->room)
		return 0;
	member = realloc(s->member, room * sizeof(*member));
	if (!member)
		return -1;
	s->member = member;
	index = calloc(2 * room, sizeof(*index));
	if (!index)
		return -1;
	free(s->index);
	s->index = index;
	s->index_size = 2 * room;
	s->room = room;
	for (i = 0; i < s->count; i++)
		*set_slot(s, &s->member[i]) = (uint32_t)i + 1;
	return 0;
}

static int set_add(struct shape_set *s, const struct shape_member *m)
{
	struct shape_member own = *m;
	uint32_t *slot;
	uint8_t *copy;

	if (m->shape.length == 0 || m->shape.length > SHAPE_LENGTH_MAX || set_grow(s) < 0)
		return -1;
	slot = set_slot(s, m);
	if (*slot)
		return 0;
	copy = malloc(m->shape.length);
	if (!copy)
		return -1;
	memcpy(copy, m->shape.template_, m->shape.length);
	own.shape.template_ = copy;
	s->member[s->count] = own;
	*slot = (uint32_t)++s->count;
	return 0;
}

int shape_set_add(struct shape_set *s, const struct shape *shape)
{
	struct shape_member m = {.literal = false};
	size_t at = 0, offset;

	while (shape_next_line(shape, &at, &m.shape, &offset))
		if (set_add(s, &m) < 0)
			return -1;
	return 0;
}

int shape_set_add_literal(struct shape_set *s, struct span literal)
{
	struct shape_member m = {
		.shape = {.length = (uint16_t)literal.len, .prefix_length = (uint16_t)literal.len, .template_ = literal.p},
		.literal = true,
	};

	return literal.len > SHAPE_LENGTH_MAX ? -1 : set_add(s, &m);
}

int shape_set_merge(struct shape_set *into, const struct shape_set *from)
{
	for (size_t i = 0; i < from->count; i++)
		if (set_add(into, &from->member[i]) < 0)
			return -1;
	return 0;
}
