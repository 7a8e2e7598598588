/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the two benches of the engine share.
 */
#ifndef SLAPENIR_BENCH_H
#define SLAPENIR_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../random.h"

/* Seconds of processor time. */
static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline _Noreturn void die(const char *what)
{
	fprintf(stderr, "engine bench: %s\n", what);
	exit(1);
}

#endif
