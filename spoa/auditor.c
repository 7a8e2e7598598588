/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "auditor.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

enum { LOG_LINE_MAX = 8192 };

struct auditor {
	struct ev_loop *loop;
	struct audit_ledger *ledger;
	struct audit_log *log;
	struct ev_io log_lines;
	void (*writable)(void *ctx, bool is);
	void *ctx;
	bool was_writable;
};

static void tell(struct auditor *a)
{
	bool is = audit_log_writable(a->log);

	if (is == a->was_writable)
		return;
	a->was_writable = is;
	a->writable(a->ctx, is);
}

/* What HAProxy refuses alone: one JSON object per datagram, perhaps behind a syslog header. */
static void log_lines_cb(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct auditor *a = io->data;
	uint8_t bytes[LOG_LINE_MAX];
	ssize_t n;

	(void)loop;
	(void)events;
	while ((n = recv(io->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0) {
		const uint8_t *brace = memchr(bytes, '{', (size_t)n);

		if (brace && audit_ledger_take_log(a->ledger, span_of(brace, (size_t)(bytes + n - brace)), clock_wall_ms()) < 0)
			log_error("out of memory for a log line of HAProxy's");
	}
	tell(a);
}

struct auditor *auditor_new(struct ev_loop *loop, const char *path, int log_fd, void (*writable)(void *ctx, bool is), void *ctx)
{
	struct auditor *a = calloc(1, sizeof(*a));

	if (a) {
		a->log = audit_log_open(path);
		a->ledger = audit_ledger_new(audit_log_write, a->log);
	}
	if (!a || !a->log || !a->ledger) {
		if (a) {
			audit_ledger_free(a->ledger);
			audit_log_close(a->log);
		}
		free(a);
		close(log_fd);
		return NULL;
	}
	a->loop = loop;
	a->writable = writable;
	a->ctx = ctx;
	a->was_writable = audit_log_writable(a->log);
	ev_io_init(&a->log_lines, log_lines_cb, log_fd, EV_READ);
	a->log_lines.data = a;
	ev_io_start(loop, &a->log_lines);
	return a;
}

void auditor_free(struct auditor *a)
{
	if (!a)
		return;
	ev_io_stop(a->loop, &a->log_lines);
	close(a->log_lines.fd);
	audit_ledger_free(a->ledger);
	audit_log_close(a->log);
	free(a);
}

void auditor_take(struct auditor *a, const struct audit_event *e)
{
	if (audit_ledger_take(a->ledger, e, clock_wall_ms()) < 0)
		log_error("out of memory for an audit event");
}

bool auditor_settle(struct auditor *a)
{
	size_t waiting = audit_ledger_settle(a->ledger);

	tell(a);
	return waiting > 0;
}

void auditor_tick(struct auditor *a)
{
	audit_ledger_tick(a->ledger, clock_wall_ms());
	audit_log_tick(a->log);
	tell(a);
}

void auditor_reopen(struct auditor *a)
{
	audit_log_reopen(a->log);
	tell(a);
}

const struct audit_log *auditor_log(const struct auditor *a)
{
	return a->log;
}

struct audit_figures auditor_figures(const struct auditor *a)
{
	return audit_ledger_figures(a->ledger);
}
