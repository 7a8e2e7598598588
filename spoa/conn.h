/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One connection of HAProxy's to a worker: a socket, perhaps TLS, a session and its buffers. conn_close() is the only
 * place that stops watchers and frees.
 *
 *   in       [ not yet parsed ........ )      received; whole frames are taken off at once, so a part of a frame at most
 *   out      [ ACKs, none of it sent . )      may still be dropped by the session (a second NOTIFY without pipelining)
 *   sending  [ sent .. | not yet sent  )      out and sending change places when sending is empty
 *              0 ..... sent ........ len
 */
#ifndef SLAPENIR_CONN_H
#define SLAPENIR_CONN_H

#include <ev.h>
#include <openssl/ssl.h>

#include "session.h"

struct conn;

struct conn_list { /* intrusive; owner: the server */
	struct conn *first;
	unsigned count;
	uint64_t frames, dropped, errors; /* of connections that have ended */
};

/* Takes fd (non-blocking) whatever happens. tls: NULL for a plain socket. NULL: out of memory, fd is closed. */
struct conn *conn_open(struct ev_loop *loop, struct conn_list *list, int fd, SSL_CTX *tls, struct session_handler *handler);

void conn_close(struct conn *c);

/* Ends the session as soon as what it has answered is sent. */
void conn_drain(struct conn *c);

/* Called a few times per second: closes what is over its time (handshake, HELLO, goodbye), wipes and releases the buffers
 * of a connection that is idle since the last call. May close c. */
void conn_tick(struct conn *c, uint64_t now_ms);

struct conn *conn_next(const struct conn *c);
uint64_t conn_frames(const struct conn *c);
uint64_t conn_dropped(const struct conn *c);

#endif
