/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "master.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "gateway.h"
#include "log.h"
#include "process.h"
#include "report.h"
#include "rollout.h"
#include "state.h"
#include "status.h"

enum {
	STOP_MS = 10000,
	RETRY_GRACE_MS = 60 * 1000,
	RENEW_MS = 6 * 60 * 60 * 1000,
};

struct paths {
	char state[PATH_MAX], run[PATH_MAX], haproxy[PATH_MAX], shapes[PATH_MAX], audit[PATH_MAX], control[PATH_MAX], log[PATH_MAX],
		pid[PATH_MAX], suspended[PATH_MAX], ca[PATH_MAX], spoa[PATH_MAX + 5];
};

struct master {
	const struct master_options *o;
	struct paths path;
	struct sandbox_user haproxy_user, worker_user;
	unsigned max_connections;
	struct ev_loop *loop;
	struct listener listeners[MASTER_LISTEN_MAX];
	unsigned listener_count;
	SSL_CTX *tls;
	struct generations *generations;
	struct suspended *suspended;
	struct auditor *auditor;
	struct pool *pool;
	struct rollout rollout;
	struct control *control;
	struct ev_signal term, interrupt, hangup;
	struct ev_timer tick;
	uint64_t started_ms, stop_ms, grace_retry_ms, renew_ms;
	bool serving, reload_again, nothing_to_commit;
	char policy[PATH_MAX]; /* absolute */
	struct report report; /* of the reload that is under way */
	struct buf changed;   /* the names whose placeholder it changes */
	int status;
};

static void publish(struct master *m)
{
	bool grown;

	if (generations_newest(m->generations) && generations_publish(m->generations, NULL, &grown) < 0) {
		log_error("HAProxy must not go on by what it remembers: it asks about everything until the shapes can be written");
		unlink(m->o->shapes ? m->o->shapes : m->path.shapes);
	}
}

/* As suspended_set(). */
static int suspend(struct master *m, struct span cn, bool on)
{
	int rc = suspended_set(m->suspended, cn, on);

	if (rc != 0) {
		pool_tell(m->pool, on ? IPC_SUSPEND : IPC_LIFT, cn);
		publish(m);
	}
	return rc;
}

/* ------ what the workers tell ------ */

static void audit_cb(void *ctx, const uint8_t *event, size_t len)
{
	struct master *m = ctx;
	struct audit_event e;

	if (audit_event_decode(&e, span_of(event, len)) < 0) {
		log_error("a worker sent an audit event that cannot be read");
		return;
	}
	if (e.kind == AUDIT_SUSPEND && suspend(m, e.agent, true) == 1)
		log_warn("agent %.*s is suspended (%.*s, secret %.*s) until `slapenir lift %.*s`", (int)e.agent.len, e.agent.p,
		         (int)e.code.len, e.code.p, (int)e.secret.len, e.secret.p, (int)e.agent.len, e.agent.p);
	auditor_take(m->auditor, &e);
}

static bool settle_cb(void *ctx)
{
	struct master *m = ctx;

	return auditor_settle(m->auditor);
}

static void crew_ready_cb(void *ctx)
{
	struct master *m = ctx;

	rollout_crew_ready(&m->rollout);
}

static void writable_cb(void *ctx, bool is)
{
	struct master *m = ctx;
	uint8_t argument = is;

	pool_tell(m->pool, IPC_AUDIT, span_of(&argument, 1));
}

/* ------ reload ------ */

static void setup_cb(void *ctx, struct worker_setup *setup)
{
	struct master *m = ctx;

	*setup = (struct worker_setup){
		.listeners = m->listeners,
		.listener_count = m->listener_count,
		.tls = m->tls,
		.suspended = m->suspended,
		.audit = auditor_log(m->auditor),
		.max_connections = m->max_connections,
		.user = m->worker_user,
	};
}

/* Secrets that have another placeholder now: what sandboxes still hold of the old one is inert from then on. */
static void note_changed(struct master *m, const struct policy *next)
{
	const struct policy *old = generations_newest(m->generations);

	buf_reset(&m->changed);
	for (unsigned i = 0; old && i < policy_secret_count(next); i++)
		for (unsigned j = 0; j < policy_secret_count(old); j++)
			if (strcmp(policy_secret_name(next, i), policy_secret_name(old, j)) == 0 &&
			    !span_eq(policy_secret_placeholder(next, i), policy_secret_placeholder(old, j)))
				buf_printf(&m->changed, "placeholder changed: %s\n", policy_secret_name(next, i));
}

static bool same_generation(const struct policy *a, const struct policy *b)
{
	return a && b && memcmp(policy_generation(a), policy_generation(b), 8) == 0;
}

static void done_cb(void *ctx, const char *why)
{
	struct master *m = ctx;
	struct buf reply = {0};

	if (why) {
		log_error("%s: %s", m->serving ? "the old generation stays" : "cannot start", why);
		buf_printf(&reply, "error %s\n", why);
	} else {
		buf_printf(&reply, "ok generation ");
		status_generation(&reply, generations_newest(m->generations));
		log_info("%s: generation %.16s", m->serving ? "reloaded" : "serving", (const char *)reply.p + 14);
		buf_printf(&reply, "\n%.*s", (int)m->changed.len, (const char *)m->changed.p);
	}
	buf_append_span(&reply, buf_span(&m->report.text));
	control_answer_waiting(m->control, buf_span(&reply));
	buf_deinit(&reply);
	if (!m->serving && why) {
		m->status = 1;
		ev_break(m->loop, EVBREAK_ALL);
	}
	m->serving = m->serving || !why;
}

/* Compiles the policy as it is now into *next, which is NULL when nothing would change. NULL, or why it fails; details are in
 * m->report. */
static const char *compile(struct master *m, bool even_if_same, struct policy **next)
{
	*next = NULL;
	if (rollout_busy(&m->rollout))
		return "a reload is under way: try again when it is done";
	if (m->stop_ms)
		return "the agent is stopping";
	report_deinit(&m->report);
	buf_reset(&m->changed);
	*next = generations_compile(m->generations, &m->report);
	report_print(&m->report, stderr);
	if (!*next)
		return "the policy is refused";
	process_wipe_environment(); /* `env:` values are in the policy now, and no worker is forked yet */
	if (m->o->tls.cert) {
		SSL_CTX *tls = listen_tls_new(&m->o->tls);

		if (!tls) {
			policy_free(*next);
			*next = NULL;
			return "the TLS files cannot be used";
		}
		SSL_CTX_free(m->tls);
		m->tls = tls;
	} else if (!even_if_same && same_generation(*next, generations_newest(m->generations))) {
		policy_free(*next);
		*next = NULL;
		return NULL;
	}
	note_changed(m, *next);
	return NULL;
}

/* NULL: it is under way or done, done_cb() tells the end. Else why nothing changes. */
static const char *reload(struct master *m, bool even_if_same)
{
	struct policy *next;
	const char *why = compile(m, even_if_same, &next);

	if (why)
		return why;
	if (next)
		rollout_begin(&m->rollout, next);
	else
		done_cb(m, NULL);
	return NULL;
}

static void reload_unasked(struct master *m, bool even_if_same)
{
	const char *why = reload(m, even_if_same);

	if (why)
		log_error("reload: %s", why);
}

static void hangup_cb(struct ev_loop *loop, struct ev_signal *w, int events)
{
	struct master *m = w->data;

	(void)loop;
	(void)events;
	auditor_reopen(m->auditor);
	if (rollout_busy(&m->rollout))
		m->reload_again = true;
	else
		reload_unasked(m, false);
}

/* ------ control socket ------ */

static void suspend_command(struct master *m, const char *cn, bool on, struct buf *reply)
{
	int rc = suspend(m, span_str(cn), on);

	if (rc < 0)
		buf_printf(reply, "error %s: not a CN (1-64 of A-Z a-z 0-9 . _ -), or %s cannot be written\n", cn, m->path.suspended);
	else
		buf_printf(reply, "ok %s%s\n", rc ? "" : "already ", on ? "suspended" : "lifted");
	if (rc == 1)
		log_info("agent %s is %s by the operator", cn, on ? "suspended" : "lifted");
}

/* What command_cb() returns: when it goes well the answer comes with done_cb(). */
static bool answer_reload(struct master *m, const char *why, struct buf *reply)
{
	if (!why)
		return false;
	buf_printf(reply, "error %s\n", why);
	buf_append_span(reply, buf_span(&m->report.text));
	return true;
}

static void prepare_command(struct master *m, struct buf *reply)
{
	struct policy *next;
	const char *why = compile(m, false, &next);

	m->nothing_to_commit = !why && !next;
	if (!why && next)
		why = rollout_prepare(&m->rollout, next);
	if (!why)
		buf_printf(reply, "ok %s\n", next ? "prepared" : "nothing changes");
	else
		answer_reload(m, why, reply);
}

static const char *commit(struct master *m)
{
	if (rollout_prepared(&m->rollout))
		rollout_go(&m->rollout);
	else if (m->nothing_to_commit)
		done_cb(m, NULL);
	else
		return "nothing is prepared, or not any more: reload again";
	return NULL;
}

static bool command_cb(void *ctx, const char *line, struct buf *reply)
{
	struct master *m = ctx;

	if (strcmp(line, "ping") == 0) {
		buf_printf(reply, m->serving && !m->stop_ms ? "pong\n" : "error it does not serve\n");
	} else if (!m->serving) {
		buf_printf(reply, "error it does not serve yet\n");
	} else if (strcmp(line, "status") == 0) {
		struct status s = {.generations = m->generations, .pool = m->pool, .auditor = m->auditor, .suspended = m->suspended,
		                   .uptime_ms = clock_ms() - m->started_ms, .reloading = rollout_busy(&m->rollout)};

		status_format(reply, &s);
	} else if (strcmp(line, "policy") == 0) {
		buf_printf(reply, "ok %s\n", m->policy);
	} else if (strcmp(line, "reload") == 0) {
		return answer_reload(m, reload(m, false), reply);
	} else if (strcmp(line, "prepare") == 0) {
		prepare_command(m, reply);
	} else if (strcmp(line, "commit") == 0) {
		return answer_reload(m, commit(m), reply);
	} else if (strcmp(line, "abort") == 0) {
		if (rollout_prepared(&m->rollout))
			rollout_cancel(&m->rollout);
		buf_printf(reply, "ok aborted\n");
	} else if (strncmp(line, "suspend ", 8) == 0) {
		suspend_command(m, line + 8, true, reply);
	} else if (strncmp(line, "lift ", 5) == 0) {
		suspend_command(m, line + 5, false, reply);
	} else {
		buf_printf(reply, "error unknown command; there are: ping status policy reload prepare commit abort suspend CN lift CN\n");
	}
	return true;
}

/* ------ time ------ */

static bool in_use_cb(void *ctx, const struct policy *p)
{
	struct master *m = ctx;

	return pool_uses(m->pool, p);
}

static void stop_cb(struct ev_loop *loop, struct ev_signal *w, int events)
{
	struct master *m = w->data;

	(void)loop;
	(void)events;
	if (m->stop_ms)
		return;
	log_info("stopping: draining the workers");
	m->stop_ms = clock_ms() + STOP_MS;
	rollout_cancel(&m->rollout);
	for (unsigned i = 0; i < m->listener_count; i++)
		listen_close(&m->listeners[i], true);
	pool_drain_old(m->pool, true);
	ev_timer_set(&m->tick, 0.05, 0.05);
	ev_timer_start(m->loop, &m->tick);
}

/* Interception leaves are made anew in a process of their own, as it waits for HAProxy. */
static void renew_leaves(struct master *m)
{
	struct report r = {0};
	pid_t pid;

	if (clock_ms() < m->renew_ms || access(m->path.ca, F_OK) < 0)
		return;
	m->renew_ms = clock_ms() + RENEW_MS;
	pid = fork();
	if (pid < 0)
		log_error("cannot renew certificates: %m");
	if (pid != 0)
		return; /* libev takes note of its end */
	log_name("renewal");
	if (gateway_renew(m->o->state, &r) < 0)
		log_error("certificates were not renewed");
	report_print(&r, stderr);
	_exit(0);
}

/* A generation that is over its time leaves the workers with a new crew that never knew it; values that are over their grace leave
 * with a new compilation. */
static void housekeeping(struct master *m)
{
	bool forgotten = generations_expire(m->generations, clock_ms(), in_use_cb, m);
	uint64_t grace = m->serving ? policy_grace_ends_ms(generations_newest(m->generations)) : 0;

	if (!m->serving || rollout_busy(&m->rollout))
		return;
	renew_leaves(m);
	if (m->reload_again) {
		m->reload_again = false;
		reload_unasked(m, false);
	} else if (grace && clock_wall_ms() >= grace && clock_ms() >= m->grace_retry_ms) {
		m->grace_retry_ms = clock_ms() + RETRY_GRACE_MS;
		reload_unasked(m, true);
	} else if (forgotten) {
		rollout_begin(&m->rollout, NULL);
	}
}

static void tick_cb(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct master *m = w->data;

	(void)events;
	auditor_tick(m->auditor);
	if (!m->stop_ms)
		housekeeping(m);
	else if (pool_idle(m->pool) || clock_ms() >= m->stop_ms)
		ev_break(loop, EVBREAK_ALL);
}

/* ------ start and end ------ */

static int find_paths(struct master *m)
{
	const struct {
		char *out;
		enum state_file which;
	} wanted[] = {
		{m->path.run, STATE_RUN_DIR},         {m->path.haproxy, STATE_HAPROXY_DIR}, {m->path.shapes, STATE_SHAPES},
		{m->path.audit, STATE_AUDIT_LOG},     {m->path.log, STATE_LOG_SOCK},        {m->path.control, STATE_CONTROL_SOCK},
		{m->path.pid, STATE_MASTER_PID},      {m->path.suspended, STATE_SUSPENDED}, {m->path.ca, STATE_CA_DIR},
	};
	char spoa[PATH_MAX];

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (state_path(wanted[i].out, PATH_MAX, m->o->state, wanted[i].which) < 0)
			return -1;
	if (state_path(spoa, sizeof(spoa), m->o->state, STATE_SPOA_SOCK) < 0)
		return -1;
	snprintf(m->path.spoa, sizeof(m->path.spoa), "unix:%s", spoa);
	return 0;
}

/* HAProxy's group may look in; only we make something there. */
static int make_dir(const char *path, gid_t group)
{
	if (mkdir(path, 0750) < 0 && errno != EEXIST) {
		log_error("%s: cannot be made: %m", path);
		return -1;
	}
	if (group != (gid_t)-1 && (chown(path, geteuid(), group) < 0 || chmod(path, 0750) < 0)) {
		log_error("%s: cannot be given to HAProxy's group: %m", path);
		return -1;
	}
	return 0;
}

static int make_dirs(struct master *m)
{
	if (state_create(m->o->state) < 0 || find_paths(m) < 0) {
		log_error("%s: %m", m->o->state);
		return -1;
	}
	return make_dir(m->path.run, m->haproxy_user.gid) < 0 || make_dir(m->path.haproxy, m->haproxy_user.gid) < 0 ? -1 : 0;
}

static int open_sockets(struct master *m, int *control_fd, int *log_fd)
{
	*log_fd = -1;
	/* first: it tells whether another master has this state already */
	*control_fd = listen_unix(m->path.control, m->path.control, SOCK_STREAM, (uid_t)-1, (gid_t)-1);
	if (*control_fd < 0)
		return -1;
	*log_fd = listen_unix(m->path.log, m->path.log, SOCK_DGRAM, m->haproxy_user.uid, m->haproxy_user.gid);
	if (*log_fd < 0)
		return -1;
	for (unsigned i = 0; i < (m->o->listen_count ? m->o->listen_count : 1); i++) {
		const char *spec = m->o->listen_count ? m->o->listen[i] : m->path.spoa;

		if (listen_open(&m->listeners[i], spec, m->o->tls.cert != NULL, m->haproxy_user.uid, m->haproxy_user.gid) < 0)
			return -1;
		m->listener_count++;
	}
	return 0;
}

static int open_all(struct master *m)
{
	struct pool_events events = {.ctx = m, .audit = audit_cb, .settle = settle_cb, .crew_ready = crew_ready_cb};
	struct generations_options go = {.policy = m->policy, .shapes = m->o->shapes ? m->o->shapes : m->path.shapes,
	                                 .shapes_group = m->haproxy_user.gid};
	uint8_t key[KEY_BYTES];
	int control_fd, log_fd;

	if (open_sockets(m, &control_fd, &log_fd) < 0) {
		if (control_fd >= 0)
			close(control_fd);
		if (log_fd >= 0)
			close(log_fd);
		return -1;
	}
	m->loop = ev_default_loop(EVBACKEND_EPOLL | EVFLAG_NOENV);
	m->auditor = auditor_new(m->loop, m->path.audit, log_fd, writable_cb, m);
	m->control = control_new(m->loop, control_fd, command_cb, m);
	m->suspended = suspended_open(m->path.suspended);
	if (!m->auditor || !m->control || !m->suspended)
		return -1;
	if (m->o->tls.cert && !(m->tls = listen_tls_new(&m->o->tls)))
		return -1;
	if (key_load(key, m->o->key, m->o->state) < 0)
		return -1;
	m->generations = generations_new(&go, key);
	explicit_bzero(key, sizeof(key));
	m->pool = pool_new(m->loop, m->o->workers, &events);
	if (!m->generations || !m->pool) {
		log_error("out of memory, or of memory that may be locked: %m");
		return -1;
	}
	return 0;
}

/* Absolute for those who ask, links unresolved: whoever deploys may point them elsewhere before a reload. */
static int find_policy(struct master *m)
{
	char cwd[PATH_MAX];

	if (m->o->policy[0] == '/')
		cwd[0] = '\0';
	else if (!getcwd(cwd, sizeof(cwd)))
		return -1;
	return snprintf(m->policy, sizeof(m->policy), "%s%s%s", cwd, cwd[0] ? "/" : "", m->o->policy) < (int)sizeof(m->policy) ? 0 : -1;
}

static int write_pid(const struct master *m)
{
	int fd = open(m->path.pid, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		log_error("%s: %m", m->path.pid);
		return -1;
	}
	return close(fd);
}

static void watch(struct master *m)
{
	ev_signal_init(&m->term, stop_cb, SIGTERM);
	ev_signal_init(&m->interrupt, stop_cb, SIGINT);
	ev_signal_init(&m->hangup, hangup_cb, SIGHUP);
	ev_timer_init(&m->tick, tick_cb, 1., 1.);
	m->term.data = m->interrupt.data = m->hangup.data = m->tick.data = m;
	ev_signal_start(m->loop, &m->term);
	ev_signal_start(m->loop, &m->interrupt);
	ev_signal_start(m->loop, &m->hangup);
	ev_timer_start(m->loop, &m->tick);
	signal(SIGPIPE, SIG_IGN);
	m->rollout.loop = m->loop;
	m->rollout.generations = m->generations;
	m->rollout.pool = m->pool;
	m->rollout.ctx = m;
	m->rollout.setup = setup_cb;
	m->rollout.done = done_cb;
	rollout_init(&m->rollout);
}

static void master_close(struct master *m)
{
	bool ours = m->control != NULL; /* else another master may have the state */

	pool_free(m->pool);
	for (unsigned i = 0; i < m->listener_count; i++)
		listen_close(&m->listeners[i], true);
	control_free(m->control);
	auditor_free(m->auditor);
	suspended_free(m->suspended);
	generations_free(m->generations);
	SSL_CTX_free(m->tls);
	report_deinit(&m->report);
	buf_deinit(&m->changed);
	if (ours) {
		unlink(m->path.control);
		unlink(m->path.log);
		unlink(m->path.pid);
	}
}

int master_run(const struct master_options *o)
{
	struct master m = {.o = o, .started_ms = clock_ms(), .renew_ms = clock_ms() + RENEW_MS, .status = 1};
	const char *why = NULL;

	log_name("master");
	m.haproxy_user = sandbox_haproxy_user();
	m.worker_user = sandbox_worker_user();
	m.max_connections = process_raise_limits();
	if (secret_process_harden() < 0)
		log_error("cannot forbid core dumps: %m");
	else if (find_policy(&m) == 0 && make_dirs(&m) == 0 && open_all(&m) == 0 && write_pid(&m) == 0) {
		watch(&m);
		m.status = 0;
		why = reload(&m, true);
		if (why) {
			log_error("cannot start: %s", why);
			m.status = 1;
		} else if (m.status == 0) { /* else it failed at once */
			ev_run(m.loop, 0);
		}
	}
	master_close(&m);
	return m.status;
}
