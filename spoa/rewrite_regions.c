/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rewrite_regions.h"

/* Where the shapes name one region after the other, windows cost less than shapes do. They get what lies between the regions, too, in stretches that
 * grow while regions are near one another and end where they are far apart: behind each the shapes are asked again. */
enum { NEAR = 128, FAR = 1024, STRETCH_MIN = 256, STRETCH_MAX = 16384 };

/* The next region of the shapes is taken by the windows. */
static bool shapes_next(struct regions *r, size_t from, size_t *begin)
{
	struct prefilter_region whole;

	if (!prefilter_next(&r->shapes, from, &whole))
		return false;
	if (whole.begin - from >= FAR)
		r->stretch = 0;
	else if (whole.begin - from < NEAR && r->stretch < STRETCH_MAX)
		r->stretch = r->stretch ? 4 * r->stretch : STRETCH_MIN;
	window_scan_take(&r->windows, &whole, r->stretch);
	*begin = whole.begin;
	return true;
}

static void narrow_next(struct regions *r)
{
	size_t begin;

	while (!(r->more_narrow = window_scan_next(&r->windows, &r->narrow)) && shapes_next(r, r->windows.left.end, &begin))
		;
}

/* Without windows nothing is narrowed, so nothing is missing. */
static void other_next(struct regions *r, size_t from)
{
	r->more_other = r->windows.w && prefilter_next(&r->windowless, from, &r->other);
}

static void regions_next(struct regions *r)
{
	bool other = r->more_other && (!r->more_narrow || r->other.begin < r->narrow.begin);

	r->more = r->more_narrow || r->more_other;
	r->next = other ? r->other : r->narrow;
	if (other)
		other_next(r, r->other.end);
	else if (r->more_narrow)
		narrow_next(r);
}

void regions_init(struct regions *r, const struct rewriter *rewriter, const struct automaton *automaton, struct span in, unsigned line, size_t from)
{
	size_t begin;

	prefilter_scan_init(&r->shapes, rewriter->prefilter, in, line);
	window_scan_init(&r->windows, automaton->windows, in, from);
	r->limit = from;
	r->stretch = 0;
	r->more = r->more_narrow = r->more_other = false;
	if (!shapes_next(r, from, &begin))
		return;
	narrow_next(r);
	/* what has no windows has a shape, so it does not begin in front of the first region either */
	prefilter_scan_init(&r->windowless, rewriter->windowless, in, line);
	other_next(r, begin);
	regions_next(r);
}

static void take(struct regions *r)
{
	if (r->next.end > r->limit)
		r->limit = r->next.end;
	regions_next(r);
}

void regions_reach(struct regions *r, size_t at)
{
	while (r->more && (r->next.begin <= at || r->next.begin <= r->limit))
		take(r);
}
