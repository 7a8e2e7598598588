/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dial.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int dial_unix(const char *path, unsigned timeout_s)
{
	struct timeval timeout = {.tv_sec = (time_t)timeout_s};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd, saved;

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}
