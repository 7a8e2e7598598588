/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A NOTIFY in, the actions of its ACK out. No I/O: what happened goes to the audit sink, time comes from the caller.
 */
#ifndef SLAPENIR_AGENT_H
#define SLAPENIR_AGENT_H

#include "audit.h"
#include "frame.h"
#include "policy.h"

struct agent; /* of one worker: live generations, suspended agents, limits, scratch buffers */

/* generations[0] is the newest. They outlive the agent. */
struct agent *agent_new(const struct policy *const *generations, size_t count, struct audit_sink *sink);
void agent_free(struct agent *a);

/* One message of a NOTIFY (frame_next_message); args is what follows its name. Appends set-var actions to ack. -1: the message is
 * malformed or unknown: the session answers nothing for it and closes the connection, HAProxy fails closed. */
int agent_message(struct agent *a, struct span message, unsigned args, struct span *rest, struct buf *ack,
                  uint64_t now_ms) __attribute__((warn_unused_result));

void agent_suspend(struct agent *a, struct span cn, bool suspended);

#endif
