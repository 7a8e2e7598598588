/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The arguments of our NOTIFY messages by name. Pure; spans point into the frame.
 */
#ifndef SLAPENIR_NOTIFY_H
#define SLAPENIR_NOTIFY_H

#include <stdint.h>

#include "buf.h"

struct notify {
	struct span id, gen, agent, host, scope, carry, head, chunk; /* of an exchange */
	struct span method, path;                                    /* with a response: of its request */
	struct span authority;                                       /* of a CONNECT */
	struct span ended;                                           /* other requests that are over */
	struct span end;                                             /* of an END */
	uint32_t seq, flags, direction;
};

/* Takes `args` arguments off the front of *rest. What is absent stays empty, names that are not ours are passed over. -1: malformed, or a
 * value has another type or size than docs/protocol.md says. */
int notify_decode(struct notify *n, unsigned args, struct span *rest) __attribute__((warn_unused_result));

#endif
