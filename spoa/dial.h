/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLAPENIR_DIAL_H
#define SLAPENIR_DIAL_H

/* A blocking stream socket that is connected to whoever listens at path, each call on it limited to so many seconds. -1 and errno. */
int dial_unix(const char *path, unsigned timeout_s) __attribute__((warn_unused_result));

#endif
