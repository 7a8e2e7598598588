/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "home.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

enum { PORT_FIRST = 21000, PORT_LAST = 31999 };

int home_binary(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);

	if (n < 0) {
		log_error("/proc/self/exe: %s", strerror(errno));
		return -1;
	}
	out[n] = '\0';
	return 0;
}

/* BINARY's directory and its parents, up to the one that holds `relative`. */
static int above_binary(char *out, size_t size, const char *relative)
{
	char dir[PATH_MAX];

	if (home_binary(dir, sizeof(dir)) < 0)
		return -1;
	for (char *slash = strrchr(dir, '/'); slash; slash = strrchr(dir, '/')) {
		*slash = '\0';
		if (snprintf(out, size, "%s/%s", dir, relative) < (int)size && access(out, R_OK) == 0)
			return 0;
	}
	return -1;
}

int home_path(char *out, size_t size, const char *relative)
{
	const char *home = getenv("SLAPENIR_HOME");

	if (home && *home) {
		if (snprintf(out, size, "%s/%s", home, relative) < (int)size && access(out, R_OK) == 0)
			return 0;
		log_error("%s/%s: %s (SLAPENIR_HOME says where the installation is)", home, relative, strerror(errno));
		return -1;
	}
	if (above_binary(out, size, relative) == 0)
		return 0;
	if (snprintf(out, size, "/usr/share/slapenir/%s", relative) < (int)size && access(out, R_OK) == 0)
		return 0;
	log_error("%s is neither in a checkout above this program nor in /usr/share/slapenir: set SLAPENIR_HOME", relative);
	return -1;
}

int home_free_port(char *out, size_t size)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	unsigned first = PORT_FIRST + (unsigned)getpid() % (PORT_LAST - PORT_FIRST);

	for (unsigned i = 0; i <= PORT_LAST - PORT_FIRST; i++) {
		unsigned port = PORT_FIRST + (first + i) % (PORT_LAST - PORT_FIRST);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

		a.sin_port = htons((uint16_t)port);
		r = bind(fd, (struct sockaddr *)&a, sizeof(a));
		if (fd >= 0)
			close(fd);
		if (r == 0)
			return snprintf(out, size, "127.0.0.1:%u", port) < (int)size ? 0 : -1;
	}
	log_error("no free port between %d and %d on 127.0.0.1", PORT_FIRST, PORT_LAST);
	return -1;
}
