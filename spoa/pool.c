/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

enum {
	WATCH_MS = 100,
	START_MS = 5000,   /* from fork to the first heartbeat */
	DRAIN_MS = 10000,  /* then a drained worker is killed */
	STABLE_MS = 30000, /* a worker that lived so long was no crash loop */
	BACKOFF_MS = 100,
	BACKOFF_MAX_MS = 5000,
	PAUSE_MS = 10,   /* reports that come so close together cost one wake-up */
	KILLED_MS = 500, /* pause after a worker that somebody killed right after its start */
};

enum phase { PHASE_STARTING, PHASE_SERVING, PHASE_DRAINING };

struct member { /* one worker process */
	struct member *next;
	struct pool *pool;
	struct crew *crew;
	unsigned slot;
	pid_t pid;
	int fd;
	bool closed; /* its end of fd */
	struct ev_io readable;
	struct ev_child exited;
	enum phase phase;
	uint64_t started_ms, heard_ms, drained_ms;
	struct ipc_figures figures;
};

struct slot {
	struct member *member;
	unsigned crashes;
	uint64_t start_at_ms;
};

struct crew {
	struct crew *next; /* older */
	struct worker_setup setup;
	const struct policy **generations;
	bool draining, ready;
	struct slot slots[];
};

struct pool {
	struct ev_loop *loop;
	struct pool_events events;
	unsigned workers;
	struct crew *crews; /* the newest first */
	struct member *members;
	struct ev_timer watch;
	struct ev_timer pause;
	uint64_t restarts;
};

static void member_stop(struct member *m)
{
	struct member **at = &m->pool->members;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	ev_io_stop(m->pool->loop, &m->readable);
	ev_child_stop(m->pool->loop, &m->exited);
	close(m->fd);
	if (m->crew->slots[m->slot].member == m)
		m->crew->slots[m->slot].member = NULL;
	free(m);
}

static void crew_check_ready(struct pool *p, struct crew *c)
{
	if (c->ready || c->draining)
		return;
	for (unsigned i = 0; i < p->workers; i++)
		if (!c->slots[i].member || c->slots[i].member->phase != PHASE_SERVING)
			return;
	c->ready = true;
	p->events.crew_ready(p->events.ctx);
}

static void take_events(struct pool *p, const uint8_t *bytes, size_t len)
{
	while (len >= 2) {
		size_t one = (size_t)bytes[0] << 8 | bytes[1];

		if (one > len - 2)
			return;
		p->events.audit(p->events.ctx, bytes + 2, one);
		bytes += 2 + one;
		len -= 2 + one;
	}
}

static void take_report(struct member *m, const uint8_t *bytes, size_t len)
{
	m->heard_ms = clock_ms();
	if (bytes[0] == IPC_EVENTS) {
		take_events(m->pool, bytes + 1, len - 1);
	} else if (bytes[0] == IPC_HEARTBEAT && len == 1 + sizeof(m->figures)) {
		memcpy(&m->figures, bytes + 1, sizeof(m->figures));
		if (m->phase == PHASE_STARTING)
			m->phase = PHASE_SERVING;
	}
}

/* How many reports there were. */
static unsigned member_read(struct member *m)
{
	static uint8_t bytes[IPC_MESSAGE_MAX];
	unsigned reports = 0;
	ssize_t n;

	while ((n = recv(m->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		take_report(m, bytes, (size_t)n);
		reports++;
	}
	if (n == 0) /* the child watcher tells how it ended */
		m->closed = true;
	return reports;
}

/* A sleeping master is woken by each report, which costs the worker more than the report itself. While reports keep coming nobody
 * listens for them: they are looked for. */
static void pool_listen(struct pool *p, bool on)
{
	for (struct member *m = p->members; m; m = m->next) {
		if (on && !m->closed)
			ev_io_start(p->loop, &m->readable);
		else
			ev_io_stop(p->loop, &m->readable);
	}
}

/* One pass over all pipes: what a worker reported before HAProxy asked another one is read before what the other reports. */
static void pool_read(struct pool *p)
{
	unsigned reports = 0;
	bool waiting;

	for (struct member *m = p->members; m; m = m->next)
		reports += member_read(m);
	waiting = p->events.settle(p->events.ctx);
	if (p->crews)
		crew_check_ready(p, p->crews);
	pool_listen(p, !reports && !waiting);
	if (reports || waiting)
		ev_timer_again(p->loop, &p->pause);
	else
		ev_timer_stop(p->loop, &p->pause);
}

static void readable_cb(struct ev_loop *loop, struct ev_io *io, int events)
{
	(void)loop;
	(void)events;
	pool_read(((struct member *)io->data)->pool);
}

static void pause_cb(struct ev_loop *loop, struct ev_timer *t, int events)
{
	(void)loop;
	(void)events;
	pool_read(t->data);
}

static uint64_t backoff(struct slot *s, int status, uint64_t lived_ms)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return lived_ms < SILENCE_MS ? KILLED_MS : 0;
	if (lived_ms >= STABLE_MS)
		s->crashes = 0;
	if (s->crashes++ == 0)
		return 0;
	return s->crashes > 6 ? BACKOFF_MAX_MS : (uint64_t)BACKOFF_MS << s->crashes;
}

static void log_end(const struct member *m, int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (sig == SIGSYS)
		log_error("worker %u (pid %d) made a system call that its sandbox does not allow", m->slot + 1, (int)m->pid);
	else if (sig)
		log_error("worker %u (pid %d) was ended by signal %d (%s)", m->slot + 1, (int)m->pid, sig, strsignal(sig));
	else if (m->phase != PHASE_DRAINING)
		log_error("worker %u (pid %d) ended with status %d", m->slot + 1, (int)m->pid, WEXITSTATUS(status));
}

static void crew_free(struct pool *p, struct crew *c)
{
	struct crew **at = &p->crews;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	SSL_CTX_free(c->setup.tls);
	free(c->generations);
	free(c);
}

static bool crew_empty(const struct pool *p, const struct crew *c)
{
	for (const struct member *m = p->members; m; m = m->next)
		if (m->crew == c)
			return false;
	return true;
}

static int member_start(struct pool *p, struct crew *c, unsigned slot);

static void exited_cb(struct ev_loop *loop, struct ev_child *w, int events)
{
	struct member *m = w->data;
	struct pool *p = m->pool;
	struct crew *c = m->crew;
	unsigned slot = m->slot;
	uint64_t now = clock_ms();

	(void)loop;
	(void)events;
	pool_read(p); /* its last words */
	log_end(m, w->rstatus);
	c->slots[slot].start_at_ms = now + backoff(&c->slots[slot], w->rstatus, now - m->started_ms);
	member_stop(m);
	if (!c->draining) {
		if (c->slots[slot].start_at_ms <= now)
			member_start(p, c, slot);
	} else if (crew_empty(p, c)) {
		crew_free(p, c);
	}
}

static int make_pair(int pair[2])
{
	int size = IPC_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	for (unsigned i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

static pid_t fork_worker(struct crew *c, unsigned slot, int pair[2])
{
	pid_t parent = getpid(), pid;
	sigset_t all, old;
	char name[32];

	snprintf(name, sizeof(name), "worker %u", slot + 1);
	/* no handler of the master's may run in the child */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		worker_run(&c->setup, name, pair[1], parent);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static int member_start(struct pool *p, struct crew *c, unsigned slot)
{
	struct slot *s = &c->slots[slot];
	struct member *m = calloc(1, sizeof(*m));
	int pair[2] = {-1, -1};

	s->start_at_ms = clock_ms() + BACKOFF_MAX_MS; /* when this fails */
	if (!m || make_pair(pair) < 0)
		goto fail;
	m->pid = fork_worker(c, slot, pair);
	if (m->pid < 0)
		goto fail;
	close(pair[1]);
	m->pool = p;
	m->crew = c;
	m->slot = slot;
	m->fd = pair[0];
	m->started_ms = m->heard_ms = clock_ms();
	m->next = p->members;
	p->members = m;
	s->member = m;
	ev_io_init(&m->readable, readable_cb, m->fd, EV_READ);
	ev_child_init(&m->exited, exited_cb, m->pid, 0);
	m->readable.data = m->exited.data = m;
	ev_io_start(p->loop, &m->readable);
	ev_child_start(p->loop, &m->exited);
	if (c->ready)
		p->restarts++;
	return 0;
fail:
	log_error("cannot start worker %u: %m", slot + 1);
	free(m);
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
	return -1;
}

static void judge(struct member *m, uint64_t now)
{
	uint64_t silent = now - m->heard_ms;
	const char *why = NULL;

	if (m->phase == PHASE_DRAINING && now - m->drained_ms >= DRAIN_MS)
		why = "does not finish";
	else if (m->phase == PHASE_STARTING ? silent >= START_MS : silent >= SILENCE_MS)
		why = "is silent";
	if (!why)
		return;
	log_error("worker %u (pid %d) %s: killing it", m->slot + 1, (int)m->pid, why);
	kill(m->pid, SIGKILL);
	m->heard_ms = m->drained_ms = now;
}

static void watch_cb(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct pool *p = w->data;
	uint64_t now;

	(void)loop;
	(void)events;
	/* heartbeats that wait are heard first: it may be us who slept */
	pool_read(p);
	now = clock_ms();
	for (struct member *m = p->members; m; m = m->next)
		judge(m, now);
	for (struct crew *c = p->crews; c; c = c->next)
		for (unsigned i = 0; i < p->workers && !c->draining; i++)
			if (!c->slots[i].member && c->slots[i].start_at_ms <= now)
				member_start(p, c, i);
}

struct pool *pool_new(struct ev_loop *loop, unsigned workers, const struct pool_events *events)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->loop = loop;
	p->workers = workers;
	p->events = *events;
	ev_timer_init(&p->watch, watch_cb, WATCH_MS / 1000., WATCH_MS / 1000.);
	ev_timer_init(&p->pause, pause_cb, 0, PAUSE_MS / 1000.0);
	p->watch.data = p->pause.data = p;
	ev_timer_start(loop, &p->watch);
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	while (p->members) {
		kill(p->members->pid, SIGKILL);
		waitpid(p->members->pid, NULL, 0);
		member_stop(p->members);
	}
	while (p->crews)
		crew_free(p, p->crews);
	ev_timer_stop(p->loop, &p->watch);
	ev_timer_stop(p->loop, &p->pause);
	free(p);
}

int pool_crew_start(struct pool *p, const struct worker_setup *setup)
{
	struct crew *c = calloc(1, sizeof(*c) + p->workers * sizeof(c->slots[0]));
	unsigned started = 0;

	if (!c)
		return -1;
	c->setup = *setup;
	c->generations = calloc(setup->generation_count, sizeof(*c->generations));
	if (!c->generations) {
		free(c);
		return -1;
	}
	memcpy(c->generations, setup->generations, setup->generation_count * sizeof(*c->generations));
	c->setup.generations = c->generations;
	if (setup->tls)
		SSL_CTX_up_ref(setup->tls);
	c->next = p->crews;
	p->crews = c;
	for (unsigned i = 0; i < p->workers; i++)
		started += member_start(p, c, i) == 0;
	if (started)
		return 0;
	crew_free(p, c);
	return -1;
}

static void crew_drain(struct pool *p, struct crew *c)
{
	static const uint8_t order = IPC_DRAIN;

	c->draining = true;
	for (struct member *m = p->members; m; m = m->next) {
		if (m->crew != c || m->phase == PHASE_DRAINING)
			continue;
		m->phase = PHASE_DRAINING;
		m->drained_ms = clock_ms();
		if (send(m->fd, &order, 1, MSG_NOSIGNAL) < 0)
			kill(m->pid, SIGKILL);
	}
}

static void sweep(struct pool *p)
{
	struct crew *next;

	for (struct crew *c = p->crews; c; c = next) {
		next = c->next;
		if (c->draining && crew_empty(p, c))
			crew_free(p, c);
	}
}

void pool_drain_old(struct pool *p, bool all)
{
	for (struct crew *c = p->crews; c; c = c->next)
		if (all || c != p->crews)
			crew_drain(p, c);
	sweep(p);
}

void pool_crew_abandon(struct pool *p)
{
	struct crew *c = p->crews;

	c->draining = true;
	for (struct member *m = p->members; m; m = m->next)
		if (m->crew == c)
			kill(m->pid, SIGKILL);
	/* the one before it is the newest again */
	if (c->next) {
		p->crews = c->next;
		c->next = p->crews->next;
		p->crews->next = c;
	}
	sweep(p);
}

bool pool_idle(const struct pool *p)
{
	return !p->members;
}

void pool_tell(struct pool *p, enum ipc_message what, struct span argument)
{
	uint8_t bytes[512] = {(uint8_t)what};

	if (argument.len > sizeof(bytes) - 1)
		return;
	if (argument.len)
		memcpy(bytes + 1, argument.p, argument.len);
	for (struct member *m = p->members; m; m = m->next)
		if (send(m->fd, bytes, 1 + argument.len, MSG_NOSIGNAL) < 0)
			kill(m->pid, SIGKILL); /* its successor is forked with what this one does not hear */
}

bool pool_uses(const struct pool *p, const struct policy *generation)
{
	for (const struct crew *c = p->crews; c; c = c->next)
		for (size_t i = 0; i < c->setup.generation_count; i++)
			if (c->generations[i] == generation)
				return true;
	return false;
}

bool pool_worker(const struct pool *p, size_t i, struct pool_worker *w)
{
	static const char *const text[] = {"starting", "serving", "draining"};
	const struct member *m = p->members;
	uint64_t now = clock_ms();

	while (m && i--)
		m = m->next;
	if (!m)
		return false;
	*w = (struct pool_worker){.pid = m->pid, .number = m->slot + 1, .phase = text[m->phase], .silent_ms = now - m->heard_ms,
	                          .age_ms = now - m->started_ms, .figures = m->figures};
	return true;
}

uint64_t pool_restarts(const struct pool *p)
{
	return p->restarts;
}
