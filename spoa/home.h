/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where the installation lies: $SLAPENIR_HOME, else the checkout that holds the running binary's build directory, else
 * /usr/share/slapenir.
 */
#ifndef SLAPENIR_HOME_H
#define SLAPENIR_HOME_H

#include <stddef.h>

/* A file of the installation, for example "haproxy/gateway.sh". -1: it is not there (logged, with where it was looked for). */
int home_path(char *out, size_t size, const char *relative);
/* The running program itself. */
int home_binary(char *out, size_t size);
/* "127.0.0.1:PORT" with a port that nobody listens on now, below the ephemeral range. */
int home_free_port(char *out, size_t size);

#endif
