/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "private_gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "home.h"
#include "log.h"

int private_gateway_init(struct private_gateway *g)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	*g = (struct private_gateway){0};
	if (!base || base[0] != '/' || access(base, W_OK) < 0)
		base = "/tmp";
	snprintf(g->state, sizeof(g->state), "%s/slapenir-run-XXXXXX", base);
	if (!mkdtemp(g->state) || chmod(g->state, 0711) < 0) {
		log_error("%s: %s", g->state, strerror(errno));
		g->state[0] = '\0';
		return -1;
	}
	return home_free_port(g->listen, sizeof(g->listen));
}

static int wait_for(pid_t pid)
{
	int status;

	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* What the script prints is for people, and standard output belongs to the command. */
static int script(struct private_gateway *g, const char *verb, const char *policy)
{
	char path[PATH_MAX], build[PATH_MAX];
	pid_t pid;

	if (home_path(path, sizeof(path), "haproxy/gateway.sh") < 0 || home_binary(build, sizeof(build)) < 0)
		return -1;
	*strrchr(build, '/') = '\0';
	pid = fork();
	if (pid == 0) {
		if (policy)
			setenv("POLICY", policy, 1);
		else
			unsetenv("POLICY");
		setenv("LISTEN", g->listen, 1);
		setenv("BUILD", build, 1);
		setenv("WORKERS", "1", 0);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl("/bin/bash", "bash", path, verb, g->state, (char *)NULL);
		_exit(127);
	}
	return wait_for(pid);
}

int private_gateway_up(struct private_gateway *g, const char *policy)
{
	g->started = true;
	return script(g, "up", policy);
}

void private_gateway_end(struct private_gateway *g)
{
	pid_t pid;

	if (g->started && script(g, "down", NULL) < 0)
		log_error("the gateway of %s did not stop", g->state);
	if (!g->state[0])
		return;
	pid = fork();
	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", "--", g->state, (char *)NULL);
		_exit(127);
	}
	wait_for(pid);
}
