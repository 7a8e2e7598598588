/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One SPOP connection as a state machine: bytes in, bytes out, no I/O.
 *
 *            HAPROXY-HELLO                   HAPROXY-DISCONNECT, drain, error
 *   HELLO ------------------------> OPEN -----------------------------------> CLOSED
 *     |      / AGENT-HELLO           | NOTIFY / ACK     / AGENT-DISCONNECT      ^
 *     |                              +----+                                     |
 *     +-- health check / AGENT-HELLO ---------------------------------------- --+
 *
 * `pipelining` is announced if and only if HAProxy lists `async`: HAProxy 2.6 to 3.0 stall without it, 3.1 and later hang
 * with it. Without it a NOTIFY that comes before the last ACK has begun to be sent means that HAProxy gave up on that
 * exchange: its ACK is dropped, or two of them fill HAProxy's demux buffer for good.
 */
#ifndef SLAPENIR_SESSION_H
#define SLAPENIR_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

enum {
	SESSION_FRAME_MAX = 1 << 20,  /* bytes after the length; HAProxy's own limit (tune.bufsize - 4) is used when smaller */
	SESSION_HELLO_MAX = 4096,     /* before the peer has said who it is */
	SESSION_UNSENT_MAX = 1 << 20, /* bytes of answers; a peer that does not read is not answered further */
};

/* What answers. message() has the contract of agent_message(): args is what follows the message's name in *rest, actions are
 * appended to ack, whose `limit` is the room that HAProxy's frame size leaves; -1 closes the connection unanswered. */
struct session_handler {
	int (*message)(struct session_handler *h, struct span message, unsigned args, struct span *rest, struct buf *ack,
	               uint64_t now_ms);
};

enum session_phase { SESSION_HELLO, SESSION_OPEN, SESSION_CLOSED };

struct session {
	struct session_handler *handler;
	enum session_phase phase;
	uint32_t max_frame;
	bool pipelining;
	uint64_t notifies, dropped; /* counters for status */
	const char *error;          /* static; why the session closed, NULL for a normal end */
};

void session_init(struct session *s, struct session_handler *handler);

/* Takes whole frames off the front of *in and appends the answers to out, which holds only frames of which no byte was
 * sent yet. Stops early when out holds SESSION_UNSENT_MAX. When the phase is then SESSION_CLOSED: send out, then close. */
void session_feed(struct session *s, struct span *in, struct buf *out, uint64_t now_ms);

/* Says goodbye: appends an AGENT-DISCONNECT and closes. */
void session_drain(struct session *s, struct buf *out);

#endif
