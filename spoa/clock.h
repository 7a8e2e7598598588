/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The two clocks, in milliseconds: one for durations, one for what people read.
 */
#ifndef SLAPENIR_CLOCK_H
#define SLAPENIR_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read_ms(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline uint64_t clock_ms(void)
{
	return clock_read_ms(CLOCK_MONOTONIC);
}

static inline uint64_t clock_wall_ms(void)
{
	return clock_read_ms(CLOCK_REALTIME);
}

#endif
