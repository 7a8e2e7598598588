/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The accepting half of a worker: listeners in, connections out.
 */
#ifndef SLAPENIR_SERVER_H
#define SLAPENIR_SERVER_H

#include <ev.h>
#include <openssl/ssl.h>

#include "listen.h"
#include "session.h"

struct server;

struct server_figures {
	unsigned connections;
	uint64_t frames, dropped, errors; /* since the start: NOTIFYs; ACKs that nobody waited for; connections that broke */
};

/* Borrows all it is given. At most max_connections are open at a time; more wait in the kernel's queue. NULL: out of memory. */
struct server *server_new(struct ev_loop *loop, const struct listener *listeners, unsigned count, SSL_CTX *tls,
                          struct session_handler *handler, unsigned max_connections);
void server_free(struct server *s);

/* A few times per second. */
void server_tick(struct server *s);

/* Accepts no more and says goodbye on each connection; server_idle() once the last is gone. */
void server_drain(struct server *s);
bool server_idle(const struct server *s);

struct server_figures server_figures(const struct server *s);

#endif
