/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * slapenir doctor: what this machine lacks and how to mend it; then a canary secret goes through a real gateway.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "home.h"
#include "jail.h"
#include "private_gateway.h"
#include "verbs.h"

/* Standard output of a command, at most 64 KiB; its exit status, or -1. */
static int output_of(struct buf *out, const char *const argv[])
{
	char bytes[4096];
	int p[2], status;
	ssize_t n;
	pid_t pid;

	buf_reset(out);
	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(p[1], STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(p[1]);
	while (pid > 0 && (n = read(p[0], bytes, sizeof(bytes))) > 0)
		if (out->len < 65536 && buf_append(out, bytes, (size_t)n) < 0)
			break;
	close(p[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return buf_putc(out, '\0') < 0 ? -1 : WEXITSTATUS(status);
}

static const char *check_haproxy(struct buf *said)
{
	if (output_of(said, (const char *[]){"haproxy", "-vv", NULL}) != 0)
		return "haproxy is missing: install the package haproxy";
	if (!strstr((char *)said->p, "+LUA"))
		return "this haproxy was built without Lua, by which the filter is loaded: use the distribution's package";
	return NULL;
}

/* HAProxy itself says whether it takes the module: it checks version and build when the configuration is read. */
static const char *check_module(struct buf *said)
{
	char module[PATH_MAX], load[PATH_MAX], cfg[] = "/tmp/slapenir-doctor-XXXXXX";
	int fd, status;

	if (home_binary(module, sizeof(module)) < 0 || home_path(load, sizeof(load), "haproxy/load.lua") < 0)
		return "the installation is not complete: see above";
	snprintf(strrchr(module, '/'), sizeof(module) - (size_t)(strrchr(module, '/') - module), "/slapenir_filter.so");
	if (access(module, R_OK) < 0)
		return "slapenir_filter.so is not beside this program: run make, which builds it for the installed haproxy";
	fd = mkstemp(cfg);
	if (fd < 0)
		return "/tmp cannot be written";
	/* a configuration without a listener is not accepted; nothing listens, as it is only checked */
	status = dprintf(fd, "global\n\tlua-load %s\nlisten nothing\n\tmode tcp\n\ttimeout client 1s\n\ttimeout server 1s\n\ttimeout connect 1s\n"
	                     "\tbind unix@/nonexistent\n", load) < 0 ? -1 : 0;
	close(fd);
	setenv("SLAPENIR_MODULE", module, 1);
	if (status == 0)
		status = output_of(said, (const char *[]){"haproxy", "-c", "-q", "-f", cfg, NULL});
	unlink(cfg);
	return status == 0 ? NULL : "haproxy does not load slapenir_filter.so: it was built for another version; run make again";
}

static const char *check_tools(struct buf *said)
{
	static const char *const tools[][2] = {{"openssl", "openssl is missing: install the package openssl"},
	                                       {"curl", "curl is missing: install the package curl"},
	                                       {"bash", "bash is missing: install the package bash"}};

	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (output_of(said, (const char *[]){"/bin/sh", "-c", "command -v \"$0\"", tools[i][0], NULL}) != 0)
			return tools[i][1];
	return NULL;
}

static const char *check_memlock(struct buf *said)
{
	struct rlimit l;

	(void)said;
	if (geteuid() == 0 || getrlimit(RLIMIT_MEMLOCK, &l) < 0 || l.rlim_max == RLIM_INFINITY || l.rlim_max >= 8u << 20)
		return NULL;
	return "the memlock limit is under 8 MiB, so secrets could not be kept from swap: raise it in /etc/security/limits.conf";
}

static const char *check_sandbox(struct buf *said)
{
	(void)said;
	return jail_missing();
}

/* One line VARIABLE=placeholder of the demo. */
static int read_placeholder(char *out, size_t size, const char *state)
{
	char path[PATH_MAX + 16], line[512];
	int found = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/agent.env", state);
	f = fopen(path, "re");
	while (f && found < 0 && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "DEMO_TOKEN=", 11) == 0 && snprintf(out, size, "%s", line + 11) < (int)size)
			found = 0;
	}
	if (f)
		fclose(f);
	return found;
}

static const char *ask_echo(struct private_gateway *g, struct buf *said)
{
	char placeholder[400], header[512], proxy[80], ca[PATH_MAX + 16], crt[PATH_MAX + 16], key[PATH_MAX + 16];

	if (read_placeholder(placeholder, sizeof(placeholder), g->state) < 0)
		return "the demo has no placeholder";
	snprintf(header, sizeof(header), "Authorization: Bearer %s", placeholder);
	snprintf(proxy, sizeof(proxy), "https://%s", g->listen);
	snprintf(ca, sizeof(ca), "%s/ca.crt", g->state);
	snprintf(crt, sizeof(crt), "%s/agent.crt", g->state);
	snprintf(key, sizeof(key), "%s/agent.key", g->state);
	if (output_of(said, (const char *[]){"curl", "-sS", "-m", "20", "--noproxy", "", "-x", proxy, "--proxy-cacert", ca, "--proxy-cert", crt,
	                               "--proxy-key", key, "--cacert", ca, "-H", header, "https://echo.slapenir.test/", NULL}) != 0)
		return "a request through the gateway failed";
	if (!strstr((char *)said->p, "\"the_real_secret_arrived\": true"))
		return "the upstream did not get the real secret";
	if (!strstr((char *)said->p, placeholder))
		return "the answer does not hold the placeholder";
	return NULL;
}

static const char *check_canary(struct buf *said)
{
	struct private_gateway g;
	const char *why = "the gateway does not come up: see above";

	if (private_gateway_init(&g) == 0 && private_gateway_up(&g, NULL) == 0)
		why = ask_echo(&g, said);
	private_gateway_end(&g);
	return why;
}

int verb_doctor(int argc, char **argv)
{
	static const struct {
		const char *what;
		const char *(*check)(struct buf *said); /* NULL: good; else what is wrong and how to mend it */
	} checks[] = {
		{"haproxy, with Lua", check_haproxy},
		{"the filter fits this haproxy", check_module},
		{"openssl, curl, bash", check_tools},
		{"memory can be locked", check_memlock},
		{"namespaces and bubblewrap, for slapenir run", check_sandbox},
		{"a canary secret went out and came back as its placeholder", check_canary},
	};
	struct buf said = {0};
	unsigned bad = 0;

	(void)argv;
	if (argc > 1) {
		fputs("usage: slapenir doctor\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const char *why = checks[i].check(&said);

		printf("%s  %s\n", why ? "BAD" : "ok ", checks[i].what);
		if (why)
			printf("     %s\n", why);
		fflush(stdout);
		bad += why != NULL;
	}
	buf_deinit(&said);
	return bad ? 1 : 0;
}
