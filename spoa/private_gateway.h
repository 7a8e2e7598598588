/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A gateway that lives as long as one command: its own state in a temporary directory, its own port on loopback, unprivileged
 * unless root calls. haproxy/gateway.sh starts and stops it.
 */
#ifndef SLAPENIR_PRIVATE_GATEWAY_H
#define SLAPENIR_PRIVATE_GATEWAY_H

#include <limits.h>
#include <stdbool.h>

struct private_gateway {
	char state[PATH_MAX]; /* directory, removed at the end */
	char listen[64];      /* 127.0.0.1:PORT */
	bool started;
};

/* Zeroes g, makes its directory and picks its port. -1: the reason is logged; private_gateway_end() may be called all the same. */
int private_gateway_init(struct private_gateway *g) __attribute__((warn_unused_result));
/* Returns when requests are served. policy NULL: the demo, with its local upstream. -1: the reason has been printed. */
int private_gateway_up(struct private_gateway *g, const char *policy) __attribute__((warn_unused_result));
void private_gateway_end(struct private_gateway *g);

#endif
