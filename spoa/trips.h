/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How often each agent tripped the wire lately. A guesser gets so many tries and no more; whoever really holds a secret and
 * sends it again and again is stopped too. Of one worker, which sees its share of an agent's requests.
 */
#ifndef SLAPENIR_TRIPS_H
#define SLAPENIR_TRIPS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

enum { TRIPS_MAX = 16, TRIPS_WINDOW_MS = 60 * 1000, TRIPS_AGENTS = 64, TRIPS_CN_MAX = 64 };

/* Zero-initialised is empty. The agent that has been quiet longest makes room for a new one. */
struct trips {
	struct trips_agent {
		char cn[TRIPS_CN_MAX];
		uint8_t cn_len;
		unsigned trips;
		uint64_t since_ms, last_ms;
	} agent[TRIPS_AGENTS];
};

/* Counts one. true: TRIPS_MAX within TRIPS_WINDOW_MS are reached: suspend it. */
bool trips_count(struct trips *l, struct span cn, uint64_t now_ms);

#endif
