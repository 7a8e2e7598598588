/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The answer to `status`: one JSON object of what lives in the master.
 */
#ifndef SLAPENIR_STATUS_H
#define SLAPENIR_STATUS_H

#include "auditor.h"
#include "generations.h"
#include "pool.h"
#include "suspended.h"

struct status {
	const struct generations *generations;
	const struct pool *pool;
	const struct auditor *auditor;
	const struct suspended *suspended;
	uint64_t uptime_ms;
	bool reloading;
};

int status_format(struct buf *out, const struct status *s); /* -1: out of memory */

/* A generation's id in hex. */
int status_generation(struct buf *out, const struct policy *p);

#endif
