/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conn.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

enum {
	CONN_MAGIC = 0x534c434e,
	READ_MIN = 16 * 1024,
	READ_ROUNDS = 8,      /* frames' worth of bytes before others get their turn */
	HELLO_MS = 5000,      /* from accept to a HELLO that was answered */
	GOODBYE_MS = 1000,    /* for the peer to read our last frame and close */
};

struct conn {
	unsigned magic; /* a watcher's data is checked against it */
	struct ev_loop *loop;
	struct conn_list *list;
	struct conn *prev, *next;
	struct ev_io readable, writable;
	int fd;
	SSL *tls;
	bool handshaken, saying_goodbye;
	bool stalled; /* frames wait in `in` because `out` was full */
	bool quiet;   /* nothing moved since the last tick */
	uint64_t deadline_ms; /* 0: none */
	struct session session;
	struct buf in, out, sending;
	size_t sent;
};

enum io { IO_DONE, IO_AGAIN_READ, IO_AGAIN_WRITE, IO_END };

static struct conn *conn_of(struct ev_io *w)
{
	struct conn *c = w->data;

	assert(c && c->magic == CONN_MAGIC);
	return c;
}

static enum io tls_result(struct conn *c, int rc)
{
	switch (SSL_get_error(c->tls, rc)) {
	case SSL_ERROR_WANT_READ:
		return IO_AGAIN_READ;
	case SSL_ERROR_WANT_WRITE:
		return IO_AGAIN_WRITE;
	default:
		return IO_END;
	}
}

static enum io conn_handshake(struct conn *c)
{
	enum io result;
	int rc;

	if (c->handshaken)
		return IO_DONE;
	ERR_clear_error();
	rc = SSL_accept(c->tls);
	if (rc == 1) {
		c->handshaken = true;
		return IO_DONE;
	}
	result = tls_result(c, rc);
	if (result == IO_END) {
		long why = SSL_get_verify_result(c->tls);
		const char *reason = ERR_reason_error_string(ERR_peek_error());

		log_warn("TLS handshake refused: %s", why != X509_V_OK ? X509_verify_cert_error_string(why)
		                                      : reason         ? reason
		                                                       : "the peer went away");
	}
	return result;
}

/* *all: the read was short, so nothing more is there for now. */
static enum io conn_recv(struct conn *c, bool *all)
{
	size_t room = c->in.cap - c->in.len;
	ssize_t n;

	if (c->tls) {
		ERR_clear_error();
		n = SSL_read(c->tls, c->in.p + c->in.len, room > INT_MAX ? INT_MAX : (int)room);
		if (n <= 0)
			return tls_result(c, (int)n);
	} else {
		n = recv(c->fd, c->in.p + c->in.len, room, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return IO_AGAIN_READ;
		if (n <= 0)
			return IO_END;
	}
	c->in.len += (size_t)n;
	*all = !c->tls && (size_t)n < room;
	return IO_DONE;
}

static enum io conn_send(struct conn *c)
{
	const uint8_t *p = c->sending.p + c->sent;
	size_t len = c->sending.len - c->sent;
	ssize_t n;

	if (c->tls) {
		ERR_clear_error();
		n = SSL_write(c->tls, p, len > INT_MAX ? INT_MAX : (int)len);
		if (n <= 0)
			return tls_result(c, (int)n);
	} else {
		n = send(c->fd, p, len, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? IO_AGAIN_WRITE : IO_END;
	}
	c->sent += (size_t)n;
	return IO_DONE;
}

/* Frames of `in` become ACKs in `out`; what is left of a frame moves to the front. */
static void conn_answer(struct conn *c)
{
	struct span rest = buf_span(&c->in);

	session_feed(&c->session, &rest, &c->out, clock_ms());
	if (rest.len && rest.p != c->in.p)
		memmove(c->in.p, rest.p, rest.len);
	c->in.len = rest.len;
	c->stalled = c->out.len >= SESSION_UNSENT_MAX;
	if (c->session.phase != SESSION_HELLO && !c->saying_goodbye)
		c->deadline_ms = 0;
}

/* Room for the rest of the frame that has begun, and for what usually follows. */
static int conn_make_room(struct conn *c)
{
	size_t want = READ_MIN;

	if (c->in.len >= 4) {
		const uint8_t *p = c->in.p;
		size_t frame = 4 + ((size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);

		if (frame > c->in.len && frame - c->in.len > want)
			want = frame - c->in.len;
	}
	return buf_reserve(&c->in, want);
}

/* Reads and answers until nothing more is there. Before anything of `out` is sent a session without pipelining gets to
 * see a NOTIFY that came meanwhile, because that one says that nobody waits for the ACK. */
static enum io conn_pump(struct conn *c)
{
	if (c->stalled)
		conn_answer(c);
	for (unsigned round = 0; round < READ_ROUNDS && c->session.phase != SESSION_CLOSED; round++) {
		enum io result;
		bool all = false;

		if (c->stalled)
			return IO_AGAIN_WRITE; /* the peer does not read: stop answering */
		if (conn_make_room(c) < 0)
			return IO_END;
		result = conn_recv(c, &all);
		if (result != IO_DONE)
			return result;
		c->quiet = false;
		conn_answer(c);
		if (all && c->session.pipelining)
			return IO_AGAIN_READ; /* saves the call that would say so */
	}
	return c->session.phase == SESSION_CLOSED ? IO_AGAIN_WRITE : IO_AGAIN_READ; /* nothing is read any more */
}

static enum io conn_flush(struct conn *c)
{
	for (;;) {
		if (c->sending.len == 0) {
			struct buf empty = c->sending;

			if (c->out.len == 0)
				return IO_DONE;
			c->sending = c->out;
			c->out = empty;
			c->sent = 0;
		}
		while (c->sent < c->sending.len) {
			enum io result = conn_send(c);

			if (result != IO_DONE)
				return result;
		}
		c->quiet = false;
		/* an ACK's payload may hold real secrets */
		explicit_bzero(c->sending.p, c->sending.len);
		buf_reset(&c->sending);
	}
}

static void watch(struct ev_loop *loop, struct ev_io *w, bool on)
{
	if (on)
		ev_io_start(loop, w);
	else
		ev_io_stop(loop, w);
}

/* The last frame is out: close our side and wait for the peer's end, because closing on bytes that it has sent meanwhile
 * would take that frame from it again. */
static void conn_goodbye(struct conn *c)
{
	c->saying_goodbye = true;
	c->deadline_ms = clock_ms() + GOODBYE_MS;
	if (c->tls)
		SSL_shutdown(c->tls);
	shutdown(c->fd, SHUT_WR);
}

static enum io conn_discard(struct conn *c)
{
	uint8_t bytes[4096];
	ssize_t n;

	do {
		n = recv(c->fd, bytes, sizeof(bytes), 0);
	} while (n > 0);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? IO_AGAIN_READ : IO_END;
}

static void conn_run(struct conn *c)
{
	enum io in = IO_AGAIN_READ, out = IO_DONE;

	if (c->saying_goodbye) {
		if (conn_discard(c) == IO_END)
			conn_close(c);
		return;
	}
	if (c->tls && (in = conn_handshake(c)) != IO_DONE) {
		out = in == IO_AGAIN_WRITE ? IO_AGAIN_WRITE : IO_DONE;
	} else {
		in = conn_pump(c);
		if (in != IO_END)
			out = conn_flush(c);
	}
	if (in == IO_END || out == IO_END) {
		conn_close(c);
		return;
	}
	if (c->session.phase == SESSION_CLOSED && out == IO_DONE) {
		conn_goodbye(c);
		watch(c->loop, &c->readable, true);
		watch(c->loop, &c->writable, false);
		return;
	}
	if (c->session.phase == SESSION_CLOSED && !c->deadline_ms)
		c->deadline_ms = clock_ms() + GOODBYE_MS; /* for the peer to take what it was answered */
	watch(c->loop, &c->readable, in == IO_AGAIN_READ || out == IO_AGAIN_READ);
	watch(c->loop, &c->writable, in == IO_AGAIN_WRITE || out == IO_AGAIN_WRITE);
	/* what waits in TLS or in `in` is announced by no descriptor */
	if (out == IO_DONE && (c->stalled || (c->tls && SSL_pending(c->tls) > 0)))
		ev_feed_event(c->loop, &c->readable, EV_READ);
}

static void conn_io_cb(struct ev_loop *loop, struct ev_io *w, int events)
{
	(void)loop;
	(void)events;
	conn_run(conn_of(w));
}

static SSL *tls_open(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	if (ssl && SSL_set_fd(ssl, fd) == 1)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

struct conn *conn_open(struct ev_loop *loop, struct conn_list *list, int fd, SSL_CTX *tls, struct session_handler *handler)
{
	struct conn *c = calloc(1, sizeof(*c));
	SSL *ssl = tls ? tls_open(tls, fd) : NULL;

	if (!c || (tls && !ssl)) {
		free(c);
		SSL_free(ssl);
		close(fd);
		return NULL;
	}
	c->magic = CONN_MAGIC;
	c->loop = loop;
	c->fd = fd;
	c->tls = ssl;
	c->deadline_ms = clock_ms() + HELLO_MS;
	session_init(&c->session, handler);
	ev_io_init(&c->readable, conn_io_cb, fd, EV_READ);
	ev_io_init(&c->writable, conn_io_cb, fd, EV_WRITE);
	c->readable.data = c->writable.data = c;
	ev_io_start(loop, &c->readable);

	c->list = list;
	c->next = list->first;
	if (c->next)
		c->next->prev = c;
	list->first = c;
	list->count++;
	return c;
}

void conn_close(struct conn *c)
{
	struct conn_list *list = c->list;

	if (c->session.error) {
		log_warn("connection closed: %s", c->session.error);
		list->errors++;
	}
	list->frames += c->session.notifies;
	list->dropped += c->session.dropped;
	list->count--;
	if (c->prev)
		c->prev->next = c->next;
	else
		list->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	ev_io_stop(c->loop, &c->readable);
	ev_io_stop(c->loop, &c->writable);
	SSL_free(c->tls);
	close(c->fd);
	buf_deinit(&c->in);
	buf_deinit(&c->out);
	buf_deinit(&c->sending);
	c->magic = 0;
	free(c);
}

void conn_drain(struct conn *c)
{
	if (c->saying_goodbye)
		return;
	session_drain(&c->session, &c->out);
	ev_feed_event(c->loop, &c->writable, EV_WRITE);
}

void conn_tick(struct conn *c, uint64_t now_ms)
{
	if (c->deadline_ms && now_ms >= c->deadline_ms) {
		if (c->session.phase == SESSION_HELLO)
			c->session.error = "no HELLO in time";
		conn_close(c);
		return;
	}
	if (c->quiet) {
		if (c->in.len == 0)
			buf_deinit(&c->in);
		if (c->out.len == 0)
			buf_deinit(&c->out);
		if (c->sending.len == 0)
			buf_deinit(&c->sending);
	}
	c->quiet = true;
}

struct conn *conn_next(const struct conn *c)
{
	return c->next;
}

uint64_t conn_frames(const struct conn *c)
{
	return c->session.notifies;
}

uint64_t conn_dropped(const struct conn *c)
{
	return c->session.dropped;
}
