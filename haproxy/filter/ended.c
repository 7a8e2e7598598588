/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Directions that came to their end as they should, and whose audit record waits to hear of it. Nobody waits for that record, so
 * it is told by whatever exchange comes next, in any thread; the canary makes one every other second.
 */
#include "filter.h"

#include <pthread.h>

enum { WAITING_MAX = 256 };

static struct {
	pthread_mutex_t lock;
	size_t first, count; /* the latter is read without the lock too: a hint */
	uint8_t bytes[WAITING_MAX][EXCHANGE_ENDED_BYTES];
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool put(const uint8_t *ended)
{
	bool fits;

	pthread_mutex_lock(&waiting.lock);
	fits = waiting.count < WAITING_MAX;
	if (fits) {
		memcpy(waiting.bytes[(waiting.first + waiting.count) % WAITING_MAX], ended, EXCHANGE_ENDED_BYTES);
		__atomic_store_n(&waiting.count, waiting.count + 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&waiting.lock);
	return fits;
}

bool ended_put(const struct flow *flow, int dir)
{
	uint8_t ended[EXCHANGE_ENDED_BYTES];

	/* without a canary, or when this process is about to go, perhaps no exchange follows */
	if (!flow->conf->canary || stopping)
		return false;
	memcpy(ended, flow->id, EXCHANGE_ID_BYTES);
	ended[EXCHANGE_ID_BYTES] = (uint8_t)dir;
	return put(ended);
}

/* The oldest first: one that waits for a minute is written down as lost. */
void ended_take(const struct flow *flow, struct ask *ask)
{
	size_t n, i;

	if (!flow->conf->canary || !__atomic_load_n(&waiting.count, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&waiting.lock);
	n = MIN(waiting.count, (size_t)EXCHANGE_ENDED_MAX);
	for (i = 0; i < n; i++)
		memcpy(ask->ended + i * EXCHANGE_ENDED_BYTES, waiting.bytes[(waiting.first + i) % WAITING_MAX], EXCHANGE_ENDED_BYTES);
	waiting.first = (waiting.first + n) % WAITING_MAX;
	__atomic_store_n(&waiting.count, waiting.count - n, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&waiting.lock);
	ask->ended_count = (uint8_t)n;
}

void ended_give_back(struct ask *ask)
{
	for (unsigned i = 0; i < ask->ended_count; i++)
		put(ask->ended + i * EXCHANGE_ENDED_BYTES);
	ask->ended_count = 0;
}
