/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ac.h"

uint32_t ac_child(const struct ac *a, uint32_t s, uint8_t c)
{
	return ac_pair_find(a->child, a->child_mask, s, c);
}

static uint32_t suffix_of(const struct ac *a, uint32_t s)
{
	return ac_pair_find(a->suffix, a->suffix_mask, s, 0);
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
