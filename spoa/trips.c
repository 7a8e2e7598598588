/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trips.h"

static struct trips_agent *find(struct trips *l, struct span cn)
{
	struct trips_agent *oldest = &l->agent[0];

	for (size_t i = 0; i < TRIPS_AGENTS; i++) {
		struct trips_agent *a = &l->agent[i];

		if (a->trips && span_eq(span_of(a->cn, a->cn_len), cn))
			return a;
		if (a->last_ms < oldest->last_ms)
			oldest = a;
	}
	oldest->trips = 0;
	memcpy(oldest->cn, cn.p, cn.len);
	oldest->cn_len = (uint8_t)cn.len;
	return oldest;
}

bool trips_count(struct trips *l, struct span cn, uint64_t now_ms)
{
	struct trips_agent *a;

	if (cn.len == 0 || cn.len > TRIPS_CN_MAX)
		return true;
	a = find(l, cn);
	if (a->trips == 0 || now_ms - a->since_ms > TRIPS_WINDOW_MS) {
		a->trips = 0;
		a->since_ms = now_ms;
	}
	a->last_ms = now_ms;
	return ++a->trips >= TRIPS_MAX;
}
