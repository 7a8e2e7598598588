/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "clock.h"
#include "conn.h"
#include "log.h"

struct acceptor {
	struct ev_io readable;
	struct server *server;
	const struct listener *listener;
};

struct server {
	struct ev_loop *loop;
	struct session_handler *handler;
	SSL_CTX *tls;
	unsigned max_connections;
	bool draining, paused;
	uint64_t resume_ms;
	struct conn_list conns;
	unsigned count;
	struct acceptor acceptors[];
};

enum { PAUSE_MS = 100 };

static void server_accepting(struct server *s, bool on)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (on)
			ev_io_start(s->loop, &s->acceptors[i].readable);
		else
			ev_io_stop(s->loop, &s->acceptors[i].readable);
	}
	s->paused = !on;
}

/* One connection per wake: the workers share the queue, and whoever is idle should get the next. */
static void accept_cb(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct acceptor *a = w->data;
	struct server *s = a->server;
	int fd, on = 1;

	(void)events;
	if (s->conns.count >= s->max_connections) {
		server_accepting(s, false);
		s->resume_ms = clock_ms() + PAUSE_MS;
		return;
	}
	fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_warn("cannot accept: %m; trying again in %d ms", PAUSE_MS);
			server_accepting(s, false);
			s->resume_ms = clock_ms() + PAUSE_MS;
		}
		return;
	}
	if (a->listener->tls)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!conn_open(loop, &s->conns, fd, a->listener->tls ? s->tls : NULL, s->handler))
		log_warn("out of memory for a connection");
}

struct server *server_new(struct ev_loop *loop, const struct listener *listeners, unsigned count, SSL_CTX *tls,
                          struct session_handler *handler, unsigned max_connections)
{
	struct server *s = calloc(1, sizeof(*s) + count * sizeof(s->acceptors[0]));

	if (!s)
		return NULL;
	s->loop = loop;
	s->handler = handler;
	s->tls = tls;
	s->max_connections = max_connections;
	s->count = count;
	for (unsigned i = 0; i < count; i++) {
		struct acceptor *a = &s->acceptors[i];

		a->server = s;
		a->listener = &listeners[i];
		ev_io_init(&a->readable, accept_cb, listeners[i].fd, EV_READ);
		a->readable.data = a;
	}
	server_accepting(s, true);
	return s;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	server_accepting(s, false);
	while (s->conns.first)
		conn_close(s->conns.first);
	free(s);
}

void server_tick(struct server *s)
{
	uint64_t now = clock_ms();
	struct conn *next;

	for (struct conn *c = s->conns.first; c; c = next) {
		next = conn_next(c);
		conn_tick(c, now);
	}
	if (s->paused && !s->draining && now >= s->resume_ms)
		server_accepting(s, true);
}

void server_drain(struct server *s)
{
	s->draining = true;
	server_accepting(s, false);
	for (struct conn *c = s->conns.first; c; c = conn_next(c))
		conn_drain(c);
}

bool server_idle(const struct server *s)
{
	return s->conns.count == 0;
}

struct server_figures server_figures(const struct server *s)
{
	struct server_figures f = {.connections = s->conns.count, .frames = s->conns.frames, .dropped = s->conns.dropped,
	                           .errors = s->conns.errors};

	for (const struct conn *c = s->conns.first; c; c = conn_next(c)) {
		f.frames += conn_frames(c);
		f.dropped += conn_dropped(c);
	}
	return f;
}
