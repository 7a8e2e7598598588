/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"

enum {
	LINE_MAX_BYTES = 512,
	CLIENTS_MAX = 32,
	CLIENT_S = 30,  /* to say something, and to take the answer */
	ASK_S = 60,
};

struct client {
	struct client *next;
	struct control *control;
	struct ev_io io;
	struct ev_timer timeout;
	int fd;
	char line[LINE_MAX_BYTES];
	size_t len;
	bool waiting;
	struct buf reply;
	size_t sent;
};

struct control {
	struct ev_loop *loop;
	struct ev_io accept;
	int fd;
	bool (*command)(void *ctx, const char *line, struct buf *reply);
	void *ctx;
	struct client *clients;
	unsigned count;
};

static void client_close(struct client *c)
{
	struct client **at = &c->control->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->control->count--;
	ev_io_stop(c->control->loop, &c->io);
	ev_timer_stop(c->control->loop, &c->timeout);
	close(c->fd);
	buf_deinit(&c->reply);
	free(c);
}

static void client_watch(struct client *c, int events)
{
	ev_io_stop(c->control->loop, &c->io);
	ev_io_set(&c->io, c->fd, events);
	ev_io_start(c->control->loop, &c->io);
}

static void client_send(struct client *c)
{
	while (c->sent < c->reply.len) {
		ssize_t n = send(c->fd, c->reply.p + c->sent, c->reply.len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			client_watch(c, EV_WRITE);
			return;
		}
		if (n <= 0)
			break;
		c->sent += (size_t)n;
	}
	client_close(c);
}

static void client_read(struct client *c)
{
	ssize_t n = recv(c->fd, c->line + c->len, sizeof(c->line) - 1 - c->len, 0);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || c->waiting) { /* gone, or talking while it should listen */
		client_close(c);
		return;
	}
	c->len += (size_t)n;
	c->line[c->len] = '\0';
	end = strchr(c->line, '\n');
	if (!end) {
		if (c->len == sizeof(c->line) - 1)
			client_close(c);
		return;
	}
	*end = '\0';
	c->waiting = true;
	if (c->control->command(c->control->ctx, c->line, &c->reply))
		client_send(c);
}

static void client_cb(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct client *c = io->data;

	(void)loop;
	if (events & EV_WRITE)
		client_send(c);
	else
		client_read(c);
}

static void timeout_cb(struct ev_loop *loop, struct ev_timer *t, int events)
{
	(void)loop;
	(void)events;
	client_close(t->data);
}

static void accept_cb(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct control *control = io->data;
	int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c;

	(void)events;
	if (fd < 0)
		return;
	c = control->count < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	c->control = control;
	c->fd = fd;
	c->next = control->clients;
	control->clients = c;
	control->count++;
	ev_io_init(&c->io, client_cb, fd, EV_READ);
	ev_timer_init(&c->timeout, timeout_cb, CLIENT_S, 0.);
	c->io.data = c->timeout.data = c;
	ev_io_start(loop, &c->io);
	ev_timer_start(loop, &c->timeout);
}

struct control *control_new(struct ev_loop *loop, int fd, bool (*command)(void *ctx, const char *line, struct buf *reply),
                            void *ctx)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c || listen(fd, CLIENTS_MAX) < 0) {
		free(c);
		close(fd);
		return NULL;
	}
	c->loop = loop;
	c->fd = fd;
	c->command = command;
	c->ctx = ctx;
	ev_io_init(&c->accept, accept_cb, fd, EV_READ);
	c->accept.data = c;
	ev_io_start(loop, &c->accept);
	return c;
}

void control_answer_waiting(struct control *c, struct span reply)
{
	struct client *next;

	for (struct client *client = c->clients; client; client = next) {
		next = client->next;
		if (!client->waiting || client->reply.len)
			continue;
		if (buf_append_span(&client->reply, reply) < 0)
			client_close(client);
		else
			client_send(client);
	}
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (c->clients)
		client_close(c->clients);
	ev_io_stop(c->loop, &c->accept);
	close(c->fd);
	free(c);
}

int control_ask(const char *path, const char *line, struct buf *answer)
{
	int fd = dial_unix(path, ASK_S), saved;
	char bytes[4096];
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) >= 0 && send(fd, "\n", 1, MSG_NOSIGNAL) == 1)
		while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
			if (buf_append(answer, bytes, (size_t)n) < 0)
				break;
	saved = errno;
	close(fd);
	errno = n == 0 ? ECONNRESET : saved; /* an end without a word */
	return n == 0 && answer->len ? 0 : -1;
}
