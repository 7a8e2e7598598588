/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Body bytes that need no exchange. The end of a chunk that could begin a secret is held here as the agent would hold it: by
 * the same function over the same shapes, so it makes no difference to anybody who of the two does.
 */
#include "filter.h"

#include "carry.h"

static unsigned line_of(const struct side *side)
{
	return side->carry_len > 1 ? side->carry[1] : 0;
}

static bool bits_are_decided(const struct side *side)
{
	return side->carry_len && side->carry[0];
}

static bool may_judge(const struct side *side)
{
	return (!side->seen || side->held_here) && !side->rest.len && !bits_are_decided(side);
}

bool clean_judge(struct flow *flow, const struct side *side, const struct view *v, size_t *pass)
{
	const struct prefilter *pf = may_judge(side) ? shapes_current(flow) : NULL;

	if (!pf || prefilter_candidate(pf, v->bytes, true))
		return false;
	*pass = v->end ? v->bytes.len : prefilter_hold(pf, v->bytes, line_of(side));
	return true;
}

void clean_pass(struct side *side, const struct view *v, size_t pass)
{
	unsigned len = side->carry_len;

	if (pass) {
		carry_skip(side->carry, &len, span_of(v->bytes.p, pass));
		side->carry_len = (uint8_t)len;
		side->decided += pass;
	}
	side->seen = v->bytes.len - pass;
	side->held_here = side->seen;
	side->seen_end = side->seen_full = false;
}

bool clean_explains(struct flow *flow, const struct side *side, struct span held)
{
	const struct prefilter *pf = held.len && !bits_are_decided(side) ? shapes_current(flow) : NULL;

	return pf && !prefilter_candidate(pf, held, true) && prefilter_hold(pf, held, line_of(side)) == 0;
}
