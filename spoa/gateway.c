/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "key.h"
#include "leaf.h"
#include "policy.h"
#include "render.h"
#include "runtime.h"
#include "stage.h"
#include "state.h"

enum {
	WORKERS_MAX = 256, /* of HAProxy, those of earlier reloads included */
	RELOAD_WAIT_MS = 10000,
	RELOAD_STEP_MS = 50,
};

struct paths {
	char dir[PATH_MAX], ca_dir[PATH_MAX], pid[PATH_MAX];
	char stats[PATH_MAX + 16], master[PATH_MAX + 16], revocation[PATH_MAX + 16], check[PATH_MAX + 16], hosts[PATH_MAX + 16], limits[PATH_MAX + 16],
		list[PATH_MAX + 16];
};

/* What a commit is going to change. Lists of file names, one a line. */
struct diff {
	bool config; /* something that only a new process takes */
	bool hosts, limits;
	struct buf added, replaced, removed;
};

static int find_paths(struct paths *p, const char *state, struct report *r)
{
	char run[PATH_MAX];

	if (state_path(p->dir, sizeof(p->dir), state, STATE_HAPROXY_DIR) < 0 ||
	    state_path(p->ca_dir, sizeof(p->ca_dir), state, STATE_CA_DIR) < 0 ||
	    state_path(p->pid, sizeof(p->pid), state, STATE_HAPROXY_PID) < 0 || state_path(run, sizeof(run), state, STATE_RUN_DIR) < 0) {
		report_error(r, state, 0, "is not usable as state directory (%s)", strerror(errno));
		return -1;
	}
	snprintf(p->stats, sizeof(p->stats), "%s/stats.sock", run);
	snprintf(p->master, sizeof(p->master), "%s/master.sock", run);
	snprintf(p->revocation, sizeof(p->revocation), "%s/revocation", p->dir);
	snprintf(p->check, sizeof(p->check), "%s/check.sh", p->dir);
	snprintf(p->hosts, sizeof(p->hosts), "%s/hosts.map", p->dir);
	snprintf(p->limits, sizeof(p->limits), "%s/limits.map", p->dir);
	snprintf(p->list, sizeof(p->list), "%s/crt-list", p->dir);
	return 0;
}

static void diff_deinit(struct diff *d)
{
	buf_deinit(&d->added);
	buf_deinit(&d->replaced);
	buf_deinit(&d->removed);
}

static int slurp(const char *path, struct buf *out)
{
	return stage_slurp(AT_FDCWD, path, out);
}

static bool next_line(struct span *rest, struct span *line)
{
	const uint8_t *end = rest->len ? memchr(rest->p, '\n', rest->len) : NULL;

	if (!end)
		return false;
	*line = span_of(rest->p, (size_t)(end - rest->p));
	*rest = span_of(end + 1, rest->len - line->len - 1);
	return true;
}

static bool has_line(struct span text, struct span wanted)
{
	struct span line;

	while (next_line(&text, &line))
		if (span_eq(line, wanted))
			return true;
	return false;
}

static int add_line(struct buf *to, struct span line)
{
	return buf_append_span(to, line) < 0 || buf_putc(to, '\n') < 0 ? -1 : 0;
}

/* --- leaves --- */

static int compare_lists(struct diff *d, const struct stage *s, struct span old, struct span new)
{
	struct span line, rest;
	char file[PATH_MAX];

	for (rest = old; next_line(&rest, &line);)
		if (!has_line(new, line) && add_line(&d->removed, line) < 0)
			return -1;
	for (rest = new; next_line(&rest, &line);) {
		snprintf(file, sizeof(file), "leaves/%.*s", (int)line.len, (const char *)line.p);
		if (!has_line(old, line)) {
			if (add_line(&d->added, line) < 0)
				return -1;
		} else if (stage_differs(s, file) && add_line(&d->replaced, line) < 0) {
			return -1;
		}
	}
	return 0;
}

static int find_diff(struct diff *d, const struct paths *p, struct report *r)
{
	static const char *const config[] = {"hosts.cfg", "refusals.map", "own-addresses.lst", "paths.env"};
	struct buf old = {0}, new = {0};
	char path[PATH_MAX + 32];
	struct stage s;
	size_t i;
	int rc = -1;

	if (stage_open(&s, p->dir, 0, NULL, false) < 0)
		goto out;
	for (i = 0; i < sizeof(config) / sizeof(config[0]); i++)
		if (stage_differs(&s, config[i]))
			d->config = true;
	d->hosts = stage_differs(&s, "hosts.map");
	d->limits = stage_differs(&s, "limits.map");
	snprintf(path, sizeof(path), "%s/next/crt-list", p->dir);
	if (slurp(p->list, &old) == 0 && slurp(path, &new) == 0)
		rc = compare_lists(d, &s, buf_span(&old), buf_span(&new));
	stage_close(&s);
out:
	if (rc < 0)
		report_error(r, p->dir, 0, "what is there cannot be compared with what is new (%s)", strerror(errno));
	buf_deinit(&old);
	buf_deinit(&new);
	return rc;
}

/* --- telling HAProxy --- */

enum leaf_change { LEAF_ADD, LEAF_REPLACE, LEAF_REMOVE };

static int tell_leaves(const struct paths *p, const struct buf *names, enum leaf_change change)
{
	struct span rest = buf_span(names), line;
	struct runtime now = {.socket = p->stats};
	char path[2 * PATH_MAX];
	int rc = 0;

	while (rc == 0 && next_line(&rest, &line)) {
		struct buf pem = {0};

		snprintf(path, sizeof(path), "%s/leaves/%.*s", p->dir, (int)line.len, (const char *)line.p);
		if (change != LEAF_REMOVE)
			rc = slurp(path, &pem);
		if (rc == 0 && change == LEAF_ADD)
			rc = runtime_add_leaf(&now, p->list, path, buf_span(&pem));
		else if (rc == 0 && change == LEAF_REPLACE)
			rc = runtime_replace_leaf(&now, path, buf_span(&pem));
		else if (rc == 0)
			rc = runtime_remove_leaf(&now, p->list, path);
		buf_deinit(&pem);
	}
	return rc;
}

static int tell_map(const struct runtime *to, const char *path)
{
	struct buf lines = {0};
	int rc = slurp(path, &lines) < 0 ? -1 : runtime_replace_map(to, path, buf_span(&lines));

	buf_deinit(&lines);
	return rc;
}

/* Certificates of new hosts before the map that lets requests through, those of old ones after it. */
static int tell_runtime(const struct paths *p, const struct diff *d)
{
	struct runtime now = {.socket = p->stats};
	int rc;

	rc = tell_leaves(p, &d->added, LEAF_ADD);
	if (rc == 0)
		rc = tell_leaves(p, &d->replaced, LEAF_REPLACE);
	if (rc == 0 && d->hosts)
		rc = tell_map(&now, p->hosts);
	if (rc == 0 && d->limits)
		rc = tell_map(&now, p->limits);
	if (rc == 0)
		rc = tell_leaves(p, &d->removed, LEAF_REMOVE);
	return rc;
}

/* All workers get CRL and revoked serials, also one that a new one is about to replace and those that were replaced before:
 * tunnels that are open stay with them. */
static int tell_revoked(const struct paths *p, struct report *r)
{
	struct buf names = {0}, crl = {0}, serials = {0};
	char path[2][PATH_MAX];
	struct span rest, line;
	int pids[WORKERS_MAX], count, rc = -1;

	if (slurp(p->revocation, &names) < 0)
		goto out;
	rest = buf_span(&names);
	for (int i = 0; i < 2; i++) {
		if (!next_line(&rest, &line))
			goto out;
		snprintf(path[i], sizeof(path[i]), "%.*s", (int)line.len, (const char *)line.p);
	}
	if (slurp(path[0], &crl) < 0 || slurp(path[1], &serials) < 0)
		goto out;
	count = runtime_workers(p->master, pids, WORKERS_MAX);
	rc = count < 1 ? -1 : 0;
	for (int i = 0; i < count; i++) {
		struct runtime worker = {.socket = p->master};

		snprintf(worker.prefix, sizeof(worker.prefix), "@!%d ", pids[i]);
		/* one that has ended meanwhile does not count */
		if ((runtime_replace_crl(&worker, path[0], buf_span(&crl)) < 0 ||
		     runtime_replace_map(&worker, path[1], buf_span(&serials)) < 0) &&
		    kill(pids[i], 0) == 0)
			rc = -1;
	}
out:
	if (rc < 0)
		report_error(r, p->revocation, 0, "the list of revoked certificates could not be given to HAProxy; see that it runs");
	buf_deinit(&names);
	buf_deinit(&crl);
	buf_deinit(&serials);
	return rc;
}

/* The worker that takes new connections; -1: the master does not answer, as while it starts itself anew. */
static int current_worker(const struct paths *p)
{
	int pid;

	return runtime_workers(p->master, &pid, 1) == 1 ? pid : -1;
}

/* HAProxy's master takes the new files in a new worker; the old one ends when its streams have ended. Returns when the new one
 * takes the connections. */
static int tell_master(const struct paths *p, struct report *r)
{
	int before = current_worker(p), now = before;
	struct buf text = {0};
	long pid = 0;

	if (slurp(p->pid, &text) == 0 && buf_putc(&text, '\0') == 0)
		pid = strtol((const char *)text.p, NULL, 10);
	buf_deinit(&text);
	if (before < 0 || pid <= 1 || kill((pid_t)pid, SIGUSR2) < 0) {
		report_error(r, p->pid, 0, "names no running HAProxy; start the gateway with `make up`");
		return -1;
	}
	for (int i = 0; i < RELOAD_WAIT_MS / RELOAD_STEP_MS && (now < 0 || now == before); i++) {
		usleep(RELOAD_STEP_MS * 1000);
		now = current_worker(p);
	}
	if (now >= 0 && now != before)
		return 0;
	report_error(r, p->dir, 0, "HAProxy starts no new worker, the old one goes on; its reasons are in gateway.log");
	return -1;
}

/* check.sh, left by the start script, is `haproxy -c` with the environment and files of the running one. */
static int check_staged(const struct paths *p, struct report *r)
{
	char next[PATH_MAX + 8];
	int status;
	pid_t pid;

	if (access(p->check, R_OK) < 0) {
		report_error(r, p->check, 0, "is missing: no gateway was started with this state; start it with `make up`");
		return -1;
	}
	snprintf(next, sizeof(next), "%s/next", p->dir);
	pid = fork();
	if (pid == 0) {
		setenv("SLAPENIR_RENDERED", next, 1);
		execl("/bin/sh", "sh", p->check, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		report_error(r, p->dir, 0, "HAProxy does not accept what was rendered; its reasons are above, all stays as it was");
		return -1;
	}
	return 0;
}

static struct policy *load(const char *file, const char *state, struct report *r)
{
	struct policy_options o = {.file = file};
	uint8_t key[KEY_BYTES];
	struct policy *p;

	if (key_load(key, NULL, state) < 0)
		return NULL;
	o.key = key;
	p = policy_load(&o, r);
	OPENSSL_cleanse(key, sizeof(key));
	return p;
}

int gateway_reload(const char *policy, const char *state, struct report *r)
{
	struct policy *p = load(policy, state, r);
	struct paths paths;
	struct diff d = {0};
	int rc = -1;

	if (!p)
		return -1;
	if (find_paths(&paths, state, r) == 0 && render_stage(p, state, false, r) == 0 && check_staged(&paths, r) == 0 &&
	    find_diff(&d, &paths, r) == 0 && tell_revoked(&paths, r) == 0 && render_commit(state, r) == 0)
		/* also when a new worker is needed: the old one takes connections until that one is there */
		rc = tell_runtime(&paths, &d) == 0 && !d.config ? 0 : tell_master(&paths, r);
	diff_deinit(&d);
	policy_free(p);
	return rc;
}

int gateway_reload_undo(const char *state, struct report *r)
{
	struct paths paths;

	if (find_paths(&paths, state, r) < 0 || render_undo(state, r) < 0)
		return -1;
	return tell_master(&paths, r);
}

/* --- renewal --- */

/* 1: made anew, 0: it is good, -1: it could not be made. The file's name tells the leaf's: "_.x.pem" is "*.x". */
static int renew(const struct paths *p, const struct leaf_ca *ca, const struct stage *s, struct span file)
{
	char path[2 * PATH_MAX], next[2 * PATH_MAX], name[NAME_MAX];

	if (file.len <= 4 || file.len >= sizeof(name))
		return -1;
	snprintf(name, sizeof(name), "%.*s", (int)file.len - 4, (const char *)file.p);
	if (name[0] == '_' && name[1] == '.')
		name[0] = '*';
	snprintf(path, sizeof(path), "%s/leaves/%.*s", p->dir, (int)file.len, (const char *)file.p);
	if (leaf_is_good(ca, path, name))
		return 0;
	snprintf(next, sizeof(next), "%s/next/%.*s", p->dir, (int)file.len, (const char *)file.p);
	if (leaf_write(ca, next, name) < 0)
		return -1;
	snprintf(path, sizeof(path), "leaves/%.*s", (int)file.len, (const char *)file.p);
	return renameat(s->next, strrchr(next, '/') + 1, s->dir, path) < 0 ? -1 : 1;
}

int gateway_renew(const char *state, struct report *r)
{
	static const char *const none[] = {NULL};
	struct buf list = {0}, renewed = {0};
	struct span rest, line;
	struct leaf_ca *ca = NULL;
	const char *why;
	struct paths p;
	struct stage s;
	int rc = -1, one;

	if (find_paths(&p, state, r) < 0)
		return -1;
	ca = leaf_ca_open(p.ca_dir, &why);
	if (!ca) {
		report_error(r, p.ca_dir, 0, "%s", why);
		return -1;
	}
	if (slurp(p.list, &list) < 0 || stage_open(&s, p.dir, 0750, none, true) < 0) {
		report_error(r, p.dir, 0, "cannot be used (%s)", strerror(errno));
		goto out;
	}
	rc = 0;
	for (rest = buf_span(&list); next_line(&rest, &line);) {
		one = renew(&p, ca, &s, line);
		if (one < 0 || (one > 0 && add_line(&renewed, line) < 0)) {
			report_error(r, p.dir, 0, "leaves/%.*s cannot be renewed (%s)", (int)line.len, (const char *)line.p,
			             strerror(errno));
			rc = -1;
		}
	}
	stage_close(&s);
	if (tell_leaves(&p, &renewed, LEAF_REPLACE) < 0 && tell_master(&p, r) < 0)
		rc = -1;
out:
	buf_deinit(&list);
	buf_deinit(&renewed);
	leaf_ca_free(ca);
	return rc;
}
