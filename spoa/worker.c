/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "worker.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"
#include "audit_log.h"
#include "clock.h"
#include "ipc.h"
#include "log.h"
#include "server.h"
#include "suspended.h"

enum {
	REPORT_WAIT_MS = 200, /* for room in the pipe to the master; well under SILENCE_MS */
	DRAIN_MS = 5000,
};

struct worker {
	struct session_handler handler; /* first: the session hands it back */
	struct audit_sink sink;
	struct agent *agent;
	struct server *server;
	struct ev_loop *loop;
	struct ev_io from_master;
	struct ev_timer tick;
	int fd;
	bool audit_required, audit_writable;
	uint64_t drain_until_ms; /* 0: serving */
	struct buf events;       /* of the exchange under way */
};

static struct worker *worker_of_sink(struct audit_sink *sink)
{
	return (struct worker *)((char *)sink - offsetof(struct worker, sink));
}

/* 0, or -1: the master does not take it (in time). */
static int tell_master(struct worker *w, const void *message, size_t len)
{
	struct pollfd room = {.fd = w->fd, .events = POLLOUT};

	for (;;) {
		if (send(w->fd, message, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			_exit(0); /* no master, no watchdog, no audit */
		if (poll(&room, 1, REPORT_WAIT_MS) <= 0)
			return -1;
	}
}

static int flush_events(struct worker *w)
{
	int rc = 0;

	if (w->events.len > 1)
		rc = tell_master(w, w->events.p, w->events.len);
	buf_reset(&w->events);
	return rc;
}

static int emit(struct audit_sink *sink, const struct audit_event *e)
{
	struct worker *w = worker_of_sink(sink);
	size_t mark;

	/* an end adds nothing new: it completes a line that waits */
	if (w->audit_required && !w->audit_writable && e->kind != AUDIT_END)
		return -1;
	if (w->events.len > IPC_MESSAGE_MAX - AUDIT_EVENT_MAX - 2 && flush_events(w) < 0)
		return w->audit_required ? -1 : 0;
	if (w->events.len == 0 && buf_putc(&w->events, IPC_EVENTS) < 0)
		return -1;
	mark = w->events.len;
	if (buf_u16(&w->events, 0) < 0 || audit_event_encode(&w->events, e) < 0) {
		w->events.len = mark;
		return -1;
	}
	w->events.p[mark] = (uint8_t)((w->events.len - mark - 2) >> 8);
	w->events.p[mark + 1] = (uint8_t)(w->events.len - mark - 2);
	return 0;
}

/* What happened is with the master before HAProxy gets the answer: a worker that dies in between is asked again under the
 * same number, and the master counts it once. */
static int message(struct session_handler *h, struct span name, unsigned args, struct span *rest, struct buf *ack,
                   uint64_t now_ms)
{
	struct worker *w = (struct worker *)h;
	int rc = agent_message(w->agent, name, args, rest, ack, now_ms);

	if (flush_events(w) < 0 && w->audit_required) {
		log_error("the master does not take audit events: answering nothing");
		return -1;
	}
	return rc;
}

static void heartbeat(struct worker *w)
{
	struct server_figures f = server_figures(w->server);
	struct ipc_figures figures = {.connections = f.connections, .frames = f.frames, .dropped = f.dropped, .errors = f.errors};
	uint8_t bytes[1 + sizeof(figures)] = {IPC_HEARTBEAT};

	memcpy(bytes + 1, &figures, sizeof(figures));
	tell_master(w, bytes, sizeof(bytes));
}

static void tick_cb(struct ev_loop *loop, struct ev_timer *t, int events)
{
	struct worker *w = t->data;

	(void)loop;
	(void)events;
	server_tick(w->server);
	heartbeat(w);
	if (w->drain_until_ms && (server_idle(w->server) || clock_ms() >= w->drain_until_ms))
		ev_break(w->loop, EVBREAK_ALL);
}

static void take_order(struct worker *w, const uint8_t *p, size_t len)
{
	struct span rest = span_of(p + 1, len - 1);

	switch (p[0]) {
	case IPC_SUSPEND:
	case IPC_LIFT:
		agent_suspend(w->agent, rest, p[0] == IPC_SUSPEND);
		break;
	case IPC_AUDIT:
		w->audit_writable = rest.len && rest.p[0];
		break;
	case IPC_DRAIN:
		if (!w->drain_until_ms) {
			w->drain_until_ms = clock_ms() + DRAIN_MS;
			server_drain(w->server);
		}
		break;
	default:
		break;
	}
}

static void from_master_cb(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct worker *w = io->data;
	uint8_t bytes[512];
	ssize_t n;

	(void)loop;
	(void)events;
	while ((n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		take_order(w, bytes, (size_t)n);
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		_exit(0);
}

static bool is_kept(const struct worker_setup *setup, int fd, int own)
{
	for (unsigned i = 0; i < setup->listener_count; i++)
		if (setup->listeners[i].fd == fd)
			return true;
	return fd == own;
}

/* The master's other descriptors (audit log, control socket, other workers' pipes) are none of a worker's business. */
static void close_others(const struct worker_setup *setup, int own)
{
	int top = own, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (unsigned i = 0; i < setup->listener_count; i++)
		if (setup->listeners[i].fd > top)
			top = setup->listeners[i].fd;
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	for (int fd = STDERR_FILENO + 1; fd <= top; fd++)
		if (!is_kept(setup, fd, own))
			close(fd);
	if (close_range((unsigned)top + 1, ~0u, 0) < 0)
		_exit(1);
}

static void default_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	/* Ctrl-C and a hang-up go to the whole group, and are the master's to answer */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int lock_generations(const struct worker_setup *setup)
{
	for (size_t i = 0; i < setup->generation_count; i++) {
		if (secret_arena_lock(policy_arena(setup->generations[i])) < 0) {
			log_error("cannot lock the secrets' memory: %m");
			return -1;
		}
	}
	return 0;
}

_Noreturn void worker_run(const struct worker_setup *setup, const char *name, int fd, int parent)
{
	struct worker w = {
		.handler = {.message = message},
		.sink = {.emit = emit},
		.fd = fd,
		.audit_required = setup->audit_required,
		.audit_writable = audit_log_writable(setup->audit),
	};

	default_signals();
	log_name(name);
	close_others(setup, fd);
	w.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!w.loop || lock_generations(setup) < 0)
		_exit(1);
	w.agent = agent_new(setup->generations, setup->generation_count, &w.sink);
	if (w.agent)
		w.server = server_new(w.loop, setup->listeners, setup->listener_count, setup->tls, &w.handler, setup->max_connections);
	if (!w.server) {
		log_error("out of memory");
		_exit(1);
	}
	for (size_t i = 0; i < suspended_count(setup->suspended); i++)
		agent_suspend(w.agent, span_str(suspended_get(setup->suspended, i)), true);
	ev_io_init(&w.from_master, from_master_cb, fd, EV_READ);
	ev_timer_init(&w.tick, tick_cb, 0., HEARTBEAT_MS / 1000.);
	w.from_master.data = w.tick.data = &w;
	ev_io_start(w.loop, &w.from_master);
	ev_timer_start(w.loop, &w.tick);
	if (sandbox_enter(setup->user, parent) < 0)
		_exit(1);
	ev_run(w.loop, 0);
	server_free(w.server);
	agent_free(w.agent);
	buf_deinit(&w.events);
	_exit(0);
}
