/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "jail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

enum { OWN_ARGS_MAX = 64 + 3 * (2 * JAIL_PATHS_MAX + JAIL_ENV_MAX) };

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}

/* A user namespace in which we are who we are outside, and a network namespace that it owns. */
static int enter_namespaces(void)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "%u %u 1\n", geteuid(), geteuid());
	snprintf(gids, sizeof(gids), "%u %u 1\n", getegid(), getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return -1;
	if (write_file("/proc/self/setgroups", "deny") < 0 || write_file("/proc/self/uid_map", uids) < 0)
		return -1;
	return write_file("/proc/self/gid_map", gids);
}

static int listen_on_loopback(unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 256) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int send_fd(int over, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(over, &m, 0) == 1 ? 0 : -1;
}

static int receive_fd(int over)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	int fd;

	if (recvmsg(over, &m, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

struct args {
	const char **v; /* has room for all that can come */
	size_t n;
};

static void add(struct args *a, const char *one, const char *two, const char *three)
{
	const char *all[] = {one, two, three};

	for (size_t i = 0; i < 3 && all[i]; i++)
		a->v[a->n++] = all[i];
}

/* Where the kernel lets a process type into the terminal that it shares (TIOCSTI), the command gets a session of its own. */
static bool terminal_is_open(void)
{
	char c = '1';
	int fd = open("/proc/sys/dev/tty/legacy_tiocsti", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, &c, 1) != 1)
			c = '1';
		close(fd);
	}
	return c != '0';
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void file_system(struct args *a, const struct jail *j)
{
	static const char *const emptied[] = {"/tmp", "/var/tmp", "/run", "/mnt", "/media"};
	add(a, "--ro-bind", "/", "/");
	add(a, "--dev", "/dev", NULL);
	add(a, "--proc", "/proc", NULL);
	for (size_t i = 0; i < sizeof(emptied) / sizeof(emptied[0]); i++)
		if (is_directory(emptied[i]))
			add(a, "--tmpfs", emptied[i], NULL);
	add(a, "--bind", j->home, j->home_inside);
	add(a, "--bind", j->work, j->work);
	for (size_t i = 0; i < j->writable_count; i++)
		add(a, "--bind", j->writable[i], j->writable[i]);
	add(a, "--ro-bind", j->trust, JAIL_TRUST);
	/* last, so that nothing above shows them again */
	for (size_t i = 0; i < j->hidden_count; i++) {
		if (access(j->hidden[i], F_OK) < 0)
			continue;
		if (is_directory(j->hidden[i]))
			add(a, "--tmpfs", j->hidden[i], NULL);
		else
			add(a, "--ro-bind", "/dev/null", j->hidden[i]);
	}
}

static void exec_bubblewrap(const struct jail *j)
{
	struct args a = {0};
	size_t words = 0;
	const char *path;

	while (j->command[words])
		words++;
	a.v = calloc(OWN_ARGS_MAX + words + 1, sizeof(*a.v));
	if (!a.v)
		return;
	add(&a, "bwrap", "--die-with-parent", "--unshare-pid");
	add(&a, "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try");
	add(&a, "--cap-drop", "ALL", NULL);
	if (terminal_is_open())
		add(&a, "--new-session", NULL, NULL);
	file_system(&a, j);
	add(&a, "--clearenv", NULL, NULL);
	for (size_t i = 0; i < j->env_count; i++)
		add(&a, "--setenv", j->env[i][0], j->env[i][1]);
	add(&a, "--chdir", j->work, "--");
	memcpy(a.v + a.n, j->command, words * sizeof(*a.v));
	/* bubblewrap stays as process 1 of the sandbox, where its own environment can be read */
	path = getenv("PATH");
	clearenv();
	setenv("PATH", path ? path : "/usr/bin:/bin", 1);
	execvp("bwrap", (char *const *)a.v);
	log_error("cannot start bubblewrap (bwrap): %s; install the package bubblewrap", strerror(errno));
}

static _Noreturn void child_main(const struct jail *j, unsigned port, int over)
{
	char byte;
	int fd;

	if (enter_namespaces() < 0) {
		log_error("cannot make a user and a network namespace: %s; %s", strerror(errno),
		          "allow them with: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000");
		_exit(126);
	}
	fd = listen_on_loopback(port);
	if (fd < 0 || send_fd(over, fd) < 0) {
		log_error("cannot listen on the sandbox's loopback: %s", strerror(errno));
		_exit(126);
	}
	close(fd);
	if (read(over, &byte, 1) != 1)
		_exit(126);
	/* the caller may ignore what the terminal sends; the command must not */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	exec_bubblewrap(j);
	_exit(126);
}

int jail_prepare(const struct jail *j, unsigned port, pid_t *child, int *go, int *listener)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		log_error("socketpair: %s", strerror(errno));
		return -1;
	}
	*child = fork();
	if (*child < 0) {
		log_error("fork: %s", strerror(errno));
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (*child == 0) {
		close(pair[0]);
		child_main(j, port, pair[1]);
	}
	close(pair[1]);
	*listener = receive_fd(pair[0]);
	if (*listener < 0) {
		close(pair[0]);
		waitpid(*child, NULL, 0);
		return -1;
	}
	*go = pair[0];
	return 0;
}

int jail_go(int go)
{
	ssize_t n = write(go, "", 1);

	close(go);
	return n == 1 ? 0 : -1;
}

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");
	char at[PATH_MAX];

	for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
		size_t len = strcspn(p, ":");

		snprintf(at, sizeof(at), "%.*s/%s", (int)len, p, program);
		if (access(at, X_OK) == 0)
			return true;
		p += len + (p[len] == ':');
	}
	return false;
}

const char *jail_missing(void)
{
	int status;
	pid_t pid;

	if (!in_path("bwrap"))
		return "bubblewrap is missing: install the package bubblewrap";
	pid = fork();
	if (pid == 0)
		_exit(enter_namespaces() < 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return "user and network namespaces are not allowed here: sysctl kernel.unprivileged_userns_clone=1 "
		       "user.max_user_namespaces=15000, and in a container allow unshare(2)";
	return NULL;
}
