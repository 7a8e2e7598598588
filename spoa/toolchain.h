/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * agent/toolchain.env: the variables that make each tool chain use a proxy and trust a root.
 */
#ifndef SLAPENIR_TOOLCHAIN_H
#define SLAPENIR_TOOLCHAIN_H

#include <stddef.h>

struct toolchain {
	const char *proxy_host, *proxy_port; /* of the plain proxy on the sandbox's loopback */
	const char *trust;                   /* directory that holds ca.pem and ca.jks, as the sandbox sees it */
	const char *lib;                     /* directory of the file itself, as the sandbox sees it */
};

/* Calls each(ctx, name, value) for every variable of the file; the strings are valid during the call. Stops when each
 * returns non-zero and returns that; -1: the file cannot be read (logged). */
int toolchain_each(const char *file, const struct toolchain *t, int (*each)(void *ctx, const char *name, const char *value), void *ctx);

#endif
