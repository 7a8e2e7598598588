/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "state.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATE_PATH_MAX = 60 }; /* above it sockets' names would not fit into sockaddr_un together with HAProxy's suffixes */

static int fill(char *out, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int fill(char *out, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, size, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

/* One spelling of the directory, whether or not it exists yet. */
static int absolute(char *out, size_t size, const char *state)
{
	char real[PATH_MAX];
	size_t len;

	if (realpath(state, real))
		return fill(out, size, "%s", real);
	if (state[0] == '/') {
		if (fill(out, size, "%s", state) < 0)
			return -1;
	} else if (!getcwd(real, sizeof(real)) || fill(out, size, "%s/%s", real, state) < 0) {
		return -1;
	}
	for (len = strlen(out); len > 1 && out[len - 1] == '/'; len--)
		out[len - 1] = '\0';
	return 0;
}

static int run_dir(char *out, size_t size, const char *state)
{
	const char *base = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (strlen(state) <= STATE_PATH_MAX || !base)
		return fill(out, size, "%s/run", state);
	if (EVP_Digest(state, strlen(state), digest, NULL, EVP_sha256(), NULL) != 1)
		return -1;
	return fill(out, size, "%s/slapenir-%02x%02x%02x%02x%02x%02x", base, digest[0], digest[1], digest[2], digest[3], digest[4],
	            digest[5]);
}

int state_path(char *out, size_t size, const char *state, enum state_file which)
{
	static const char *const in_state[] = {
		[STATE_CA_CRT] = "ca.crt", [STATE_AGENT_CRT] = "agent.crt", [STATE_AGENT_KEY] = "agent.key",
		[STATE_AGENT_ENV] = "agent.env", [STATE_AUDIT_LOG] = "audit.log", [STATE_CONTROL_SOCK] = "control.sock",
		[STATE_PLACEHOLDER_KEY] = "placeholder.key", [STATE_CA_DIR] = "ca", [STATE_HAPROXY_DIR] = "haproxy",
		[STATE_SHAPES] = "haproxy/shapes", [STATE_HAPROXY_PID] = "haproxy.pid", [STATE_MASTER_PID] = "master.pid",
		[STATE_SUSPENDED] = "suspended",
	};
	char dir[PATH_MAX], run[PATH_MAX];

	if (absolute(dir, sizeof(dir), state) < 0)
		return -1;
	if (which != STATE_RUN_DIR && which != STATE_SPOA_SOCK && which != STATE_LOG_SOCK)
		return fill(out, size, "%s/%s", dir, in_state[which]);
	if (run_dir(run, sizeof(run), dir) < 0)
		return -1;
	if (which == STATE_RUN_DIR)
		return fill(out, size, "%s", run);
	return fill(out, size, "%s/%s", run, which == STATE_SPOA_SOCK ? "spoa.sock" : "log.sock");
}

static bool in_checkout(void)
{
	return access("Makefile", F_OK) == 0 && access("spoa/main.c", F_OK) == 0;
}

int state_default(char *out, size_t size, const char *option)
{
	const char *env = getenv("SLAPENIR_STATE"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (option && *option)
		return absolute(out, size, option);
	if (env && *env)
		return absolute(out, size, env);
	if (in_checkout())
		return absolute(out, size, "build/state");
	if (geteuid() == 0)
		return fill(out, size, "/var/lib/slapenir");
	if (xdg && xdg[0] == '/')
		return fill(out, size, "%s/slapenir", xdg);
	return fill(out, size, "%s/.local/state/slapenir", home ? home : "");
}

int state_create(const char *state)
{
	char path[PATH_MAX];

	if (absolute(path, sizeof(path), state) < 0)
		return -1;
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return mkdir(path, 0711) < 0 && errno != EEXIST ? -1 : 0;
}
