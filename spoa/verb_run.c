/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * slapenir run: a private gateway, a forwarder, a sandbox, one command in it; all of it ends with the command.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "config.h"
#include "home.h"
#include "jail.h"
#include "log.h"
#include "private_gateway.h"
#include "quick_policy.h"
#include "state.h"
#include "toolchain.h"
#include "verbs.h"

enum { PROXY_PORT = 3128, LIST_MAX = 64 };

struct list {
	const char *v[LIST_MAX];
	size_t n;
};

struct run {
	const char *policy;
	struct list secrets, hosts, binds, passed;
	char *const *command;
	struct private_gateway gateway;
	char policy_path[PATH_MAX];
	char work[PATH_MAX], home[PATH_MAX], forwarder[PATH_MAX];
	struct jail jail;
	struct buf strings; /* what jail.env points into; reserved once, so that it never moves */
	pid_t forwarder_pid;
};

static const char run_usage[] =
	"usage: slapenir run [--policy FILE | --secret NAME@HOST[,HOST]… --allow HOST…] [--bind DIR]… [--pass NAME]… -- COMMAND…\n"
	"\n"
	"Runs COMMAND in a sandbox whose only way out is a gateway of its own. It sees placeholders, never a secret.\n"
	"  --policy FILE     the policy; else ./slapenir.yaml, if there is one\n"
	"  --secret N@H,H    a secret of your environment, and the hosts where it is used\n"
	"  --allow HOST      a host that may be reached without a secret\n"
	"  --bind DIR        a directory that stays writable, beside the working directory\n"
	"  --pass NAME       a variable of your environment that the command is to have (no secret!)\n";

static int push(struct list *l, const char *s, const char *option)
{
	if (l->n == LIST_MAX) {
		log_error("%s is given more than %d times: write a policy file instead", option, LIST_MAX);
		return -1;
	}
	l->v[l->n++] = s;
	return 0;
}

/* 0: go on; 1: --help was asked for; -1: the call is wrong and why is said. */
static int parse(struct run *r, int argc, char **argv)
{
	static const struct option options[] = {{"policy", 1, NULL, 'p'}, {"secret", 1, NULL, 's'}, {"allow", 1, NULL, 'a'},
	                                        {"bind", 1, NULL, 'b'},   {"pass", 1, NULL, 'e'},   {"help", 0, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	int c, bad = 0;

	while ((c = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		switch (c) {
		case 'p': r->policy = optarg; break;
		case 's': bad |= push(&r->secrets, optarg, "--secret"); break;
		case 'a': bad |= push(&r->hosts, optarg, "--allow"); break;
		case 'b': bad |= push(&r->binds, optarg, "--bind"); break;
		case 'e': bad |= push(&r->passed, optarg, "--pass"); break;
		case 'h': fputs(run_usage, stdout); return 1;
		default: fputs(run_usage, stderr); return -1;
		}
	}
	r->command = argv + optind;
	if (!r->command[0]) {
		fputs(run_usage, stderr);
		return -1;
	}
	if (r->policy && (r->secrets.n || r->hosts.n)) {
		log_error("--policy stands alone: put the hosts of --secret and --allow into %s", r->policy);
		return -1;
	}
	if (!r->policy && !r->secrets.n && !r->hosts.n) {
		if (access("slapenir.yaml", R_OK) < 0) {
			log_error("no policy: give --policy FILE, or --secret NAME@HOST and --allow HOST, or make one with: slapenir init --from-env .env");
			return -1;
		}
		r->policy = "slapenir.yaml";
	}
	return bad;
}

static int write_private(const char *path, struct span text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, text.p, text.len) == (ssize_t)text.len;

	if (!ok)
		log_error("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}

static int find_policy(struct run *r)
{
	struct buf text = {0};
	int rc;

	if (r->policy) {
		if (realpath(r->policy, r->policy_path))
			return 0;
		log_error("%s: %s", r->policy, strerror(errno));
		return -1;
	}
	rc = quick_policy_write(&text, r->secrets.v, r->secrets.n, r->hosts.v, r->hosts.n);
	if (rc == 0 && snprintf(r->policy_path, sizeof(r->policy_path), "%s/policy.yaml", r->gateway.state) >= (int)sizeof(r->policy_path))
		rc = -1;
	if (rc == 0)
		rc = write_private(r->policy_path, buf_span(&text));
	buf_deinit(&text);
	return rc;
}

/* The working directory is all that the command may write: it must not hold the home directory with it. */
static int find_places(struct run *r)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME");
	char real_home[PATH_MAX];

	if (!getcwd(r->work, sizeof(r->work))) {
		log_error("the working directory: %s", strerror(errno));
		return -1;
	}
	r->jail.home_inside = home;
	if (!home || home[0] != '/' || !realpath(home, real_home)) {
		/* there is no place for it on the read-only root: beside the other things that are made for the sandbox */
		snprintf(real_home, sizeof(real_home), "/nonexistent");
		r->jail.home_inside = "/tmp/home";
	}
	if (strcmp(r->work, "/") == 0 || (strncmp(real_home, r->work, strlen(r->work)) == 0 && strchr("/", real_home[strlen(r->work)]))) {
		log_error("%s holds your home directory, which the sandbox must not see: change into the project's own directory", r->work);
		return -1;
	}
	if (xdg && xdg[0] == '/')
		snprintf(r->home, sizeof(r->home), "%s/slapenir/home", xdg);
	else if (home)
		snprintf(r->home, sizeof(r->home), "%s/.local/state/slapenir/home", home);
	else if (snprintf(r->home, sizeof(r->home), "%s/home", r->gateway.state) >= (int)sizeof(r->home))
		return -1;
	for (char *slash = strchr(r->home + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(r->home, 0700);
		*slash = '/';
	}
	if (mkdir(r->home, 0700) < 0 && errno != EEXIST) {
		log_error("%s: %s", r->home, strerror(errno));
		return -1;
	}
	return 0;
}

static int add_env(void *ctx, const char *name, const char *value)
{
	struct run *r = ctx;
	struct jail *j = &r->jail;
	size_t name_at = r->strings.len, value_at = name_at + strlen(name) + 1;

	if (j->env_count == JAIL_ENV_MAX || value_at + strlen(value) + 1 > r->strings.cap) {
		log_error("the sandbox's environment is full at %s", name);
		return -1;
	}
	if (buf_append(&r->strings, name, strlen(name) + 1) < 0 || buf_append(&r->strings, value, strlen(value) + 1) < 0)
		return -1;
	j->env[j->env_count][0] = (const char *)r->strings.p + name_at;
	j->env[j->env_count++][1] = (const char *)r->strings.p + value_at;
	return 0;
}

/* agent.env is KEY=VALUE in our own writing: VALUE bare, or in single quotes with '\'' for a quote. */
static int add_placeholders(struct run *r)
{
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	FILE *f;
	int rc = 0;

	if (state_path(path, sizeof(path), r->gateway.state, STATE_AGENT_ENV) < 0)
		return -1;
	f = fopen(path, "re");
	if (!f) {
		log_error("%s: %s", path, strerror(errno));
		return -1;
	}
	while (rc == 0 && getline(&line, &size, f) >= 0) {
		char *value = strchr(line, '='), *to;

		line[strcspn(line, "\n")] = '\0';
		if (!value)
			continue;
		*value++ = '\0';
		to = value;
		for (const char *from = value; *from; from++)
			if (*from == '\\' && from[1] == '\'')
				*to++ = *++from;
			else if (*from != '\'')
				*to++ = *from;
		*to = '\0';
		rc = add_env(r, line, value);
	}
	free(line);
	fclose(f);
	return rc;
}

static int fill_environment(struct run *r)
{
	static const char *const kept[] = {"PATH", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ"};
	char file[PATH_MAX], lib[PATH_MAX];
	struct toolchain t = {"127.0.0.1", "3128", JAIL_TRUST, lib};

	if (buf_reserve(&r->strings, 256 * 1024) < 0 || home_path(file, sizeof(file), "agent/toolchain.env") < 0)
		return -1;
	snprintf(lib, sizeof(lib), "%.*s", (int)(strrchr(file, '/') - file), file);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (getenv(kept[i]) && add_env(r, kept[i], getenv(kept[i])) < 0)
			return -1;
	if (add_env(r, "HOME", r->jail.home_inside) < 0)
		return -1;
	for (size_t i = 0; i < r->passed.n; i++) {
		if (!getenv(r->passed.v[i])) {
			log_error("--pass %s: not set in your environment", r->passed.v[i]);
			return -1;
		}
		if (add_env(r, r->passed.v[i], getenv(r->passed.v[i])) < 0)
			return -1;
	}
	if (toolchain_each(file, &t, add_env, r) != 0)
		return -1;
	return add_placeholders(r);
}

static int copy_file(const char *from, const char *to, int flags, unsigned mode)
{
	char bytes[8192];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC | flags, mode);
	ssize_t n = -1;

	if (in >= 0 && out >= 0)
		while ((n = read(in, bytes, sizeof(bytes))) > 0)
			if (write(out, bytes, (size_t)n) != n) {
				n = -1;
				break;
			}
	if (n < 0)
		log_error("%s to %s: %s", from, to, strerror(errno));
	explicit_bzero(bytes, sizeof(bytes));
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return n == 0 ? 0 : -1;
}

/* forwarder/ is ours alone, trust/ is what the sandbox sees of the state. */
static int make_material(struct run *r, char *trust, size_t trust_size)
{
	char crt[PATH_MAX], key[PATH_MAX], ca[PATH_MAX], pem[PATH_MAX + 16];

	if (state_path(crt, sizeof(crt), r->gateway.state, STATE_AGENT_CRT) < 0 || state_path(key, sizeof(key), r->gateway.state, STATE_AGENT_KEY) < 0 ||
	    state_path(ca, sizeof(ca), r->gateway.state, STATE_CA_CRT) < 0)
		return -1;
	if (snprintf(r->forwarder, sizeof(r->forwarder), "%s/forwarder", r->gateway.state) >= (int)sizeof(r->forwarder) ||
	    snprintf(trust, trust_size, "%s/trust", r->gateway.state) >= (int)trust_size)
		return -1;
	if (mkdir(r->forwarder, 0700) < 0 || mkdir(trust, 0755) < 0) {
		log_error("%s: %s", r->gateway.state, strerror(errno));
		return -1;
	}
	snprintf(pem, sizeof(pem), "%s/agent.pem", r->forwarder);
	if (copy_file(crt, pem, O_EXCL, 0600) < 0 || copy_file(key, pem, O_APPEND, 0600) < 0)
		return -1;
	snprintf(pem, sizeof(pem), "%s/ca.pem", trust);
	return copy_file(ca, pem, O_EXCL, 0644);
}

/* HAProxy on the listener of the sandbox's network, in ours. */
static int start_forwarder(struct run *r, int listener)
{
	char cfg[PATH_MAX], pem[PATH_MAX + 16], admin[PATH_MAX + 16], ca[PATH_MAX], *path;

	if (home_path(cfg, sizeof(cfg), "agent/forwarder.cfg") < 0 || state_path(ca, sizeof(ca), r->gateway.state, STATE_CA_CRT) < 0)
		return -1;
	snprintf(pem, sizeof(pem), "%s/agent.pem", r->forwarder);
	snprintf(admin, sizeof(admin), "%s/admin.sock", r->forwarder);
	path = getenv("PATH");
	r->forwarder_pid = fork();
	if (r->forwarder_pid == 0) {
		/* the caller's environment holds real secrets, and nothing of them is needed here */
		clearenv();
		setenv("PATH", path ? path : "/usr/sbin:/usr/bin", 1);
		if (listener != 3)
			dup2(listener, 3);
		else
			fcntl(3, F_SETFD, 0);
		setenv("FORWARDER_BIND", "fd@3", 1);
		setenv("FORWARDER_ADMIN", admin, 1);
		setenv("GATEWAY", r->gateway.listen, 1);
		setenv("GATEWAY_NAME", "localhost", 1);
		setenv("GATEWAY_CA", ca, 1);
		setenv("AGENT_PEM", pem, 1);
		execlp("haproxy", "haproxy", "-q", "-db", "-f", cfg, (char *)NULL);
		_exit(127);
	}
	return r->forwarder_pid > 0 ? 0 : -1;
}

static int hide(struct run *r, const char *path)
{
	struct jail *j = &r->jail;
	char real[PATH_MAX];
	size_t at = r->strings.len;

	if (!realpath(path, real))
		return 0; /* it is not there, so it cannot be seen */
	if (j->hidden_count == JAIL_PATHS_MAX || at + strlen(real) + 1 > r->strings.cap) {
		log_error("more than %d token files and sockets to hide", JAIL_PATHS_MAX);
		return -1;
	}
	if (buf_append(&r->strings, real, strlen(real) + 1) < 0)
		return -1;
	j->hidden[j->hidden_count++] = (const char *)r->strings.p + at;
	return 0;
}

static bool is_below(const char *path, const char *directory)
{
	size_t len = directory ? strlen(directory) : 0;

	return len && strncmp(path, directory, len) == 0 && (path[len] == '/' || directory[len - 1] == '/');
}

/* A socket with a name can be connected to through a read-only mount, and some of them (container engines) give the whole machine.
 * Those that listen now are masked, but where the sandbox has a directory of its own anyway. */
static int hide_sockets(struct run *r)
{
	static const char *const own[] = {"/tmp", "/var/tmp", "/run", "/var/run", "/mnt", "/media"};
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen("/proc/net/unix", "re");
	int rc = f ? 0 : -1;

	while (rc == 0 && getline(&line, &size, f) >= 0) {
		char *path = strchr(line, '/');
		bool gone;

		if (!path)
			continue;
		path[strcspn(path, "\n")] = '\0';
		gone = is_below(path, getenv("HOME"));
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			gone |= is_below(path, own[i]);
		for (size_t i = 0; i < r->jail.hidden_count; i++)
			gone |= strcmp(path, r->jail.hidden[i]) == 0 || is_below(path, r->jail.hidden[i]);
		if (!gone)
			rc = hide(r, path);
	}
	free(line);
	if (f)
		fclose(f);
	return rc;
}

/* What must stay out of sight: this run's state, the standing one, the policy and the token files that it names. */
static int hide_all(struct run *r)
{
	char path[PATH_MAX];
	struct report report = {0};
	struct config c;
	int rc = 0;

	if (hide(r, r->gateway.state) < 0 || (state_default(path, sizeof(path), NULL) == 0 && hide(r, path) < 0))
		return -1;
	if (hide(r, r->policy_path) < 0 || config_load(&c, r->policy_path, &report) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < c.secret_count; i++) {
		const char *file = c.secret[i].file.text;

		if (!file)
			continue;
		if (file[0] == '/')
			rc = hide(r, file);
		else if (snprintf(path, sizeof(path), "%.*s/%s", (int)(strrchr(r->policy_path, '/') - r->policy_path), r->policy_path, file) <
		         (int)sizeof(path))
			rc = hide(r, path);
		else
			rc = -1;
	}
	config_free(&c);
	report_deinit(&report);
	return rc < 0 ? rc : hide_sockets(r);
}

static int sandbox(struct run *r)
{
	char trust[PATH_MAX];
	int listener, go, status;
	pid_t child;

	if (make_material(r, trust, sizeof(trust)) < 0 || fill_environment(r) < 0 || hide_all(r) < 0)
		return 125;
	r->jail.work = r->work;
	r->jail.home = r->home;
	r->jail.trust = trust;
	r->jail.command = r->command;
	memcpy(r->jail.writable, r->binds.v, sizeof(r->binds.v[0]) * r->binds.n);
	r->jail.writable_count = r->binds.n;
	if (jail_prepare(&r->jail, PROXY_PORT, &child, &go, &listener) < 0)
		return 125;
	if (start_forwarder(r, listener) < 0 || jail_go(go) < 0) {
		log_error("the forwarder could not be started");
		kill(child, SIGKILL);
	}
	close(listener);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The one way out: forwarder, gateway, state. */
static void end(struct run *r)
{
	if (r->forwarder_pid > 0) {
		kill(r->forwarder_pid, SIGTERM);
		waitpid(r->forwarder_pid, NULL, 0);
	}
	private_gateway_end(&r->gateway);
	buf_deinit(&r->strings);
}

int verb_run(int argc, char **argv)
{
	static struct run r; /* large */
	const char *missing = jail_missing();
	int rc = parse(&r, argc, argv);

	if (rc)
		return rc > 0 ? 0 : 2;
	if (missing) {
		log_error("%s (`slapenir doctor` says more)", missing);
		return 125;
	}
	/* the terminal's ^C is the command's; we end when it has ended */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	rc = 125;
	if (private_gateway_init(&r.gateway) == 0 && find_policy(&r) == 0 && find_places(&r) == 0 &&
	    private_gateway_up(&r.gateway, r.policy_path) == 0)
		rc = sandbox(&r);
	end(&r);
	return rc;
}
