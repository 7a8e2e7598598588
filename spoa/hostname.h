/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Host names in their one canonical form: lower case, no final dot, always with a port: "api.openai.com:443". A wildcard stands for
 * exactly one label and has at least two behind it: "*.example.com:443". IP literals, in whatever notation, are no names.
 * Pure.
 */
#ifndef SLAPENIR_HOSTNAME_H
#define SLAPENIR_HOSTNAME_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

enum {
	HOSTNAME_DNS_MAX = 253,
	HOSTNAME_MAX = HOSTNAME_DNS_MAX + sizeof(":65535"), /* with its NUL */
	HOSTNAME_TLS_PORT = 443,
	HOSTNAME_HTTP_PORT = 80,
};

struct hostname {
	char text[HOSTNAME_MAX]; /* "name:port" */
	size_t name_length;      /* of the part before the colon */
	unsigned port;
	bool port_given;
	bool wildcard;
};

/* -1, with a static reason in *why: what is wrong and how to mend it. A wildcard is only taken if `wildcard`. */
int hostname_parse(struct hostname *h, struct span text, unsigned default_port, bool wildcard, const char **why)
	__attribute__((warn_unused_result));

/* The only wildcard that could cover h, "*.rest:port"; false: h has no rest. h is no wildcard itself. */
bool hostname_wildcard(const struct hostname *h, struct hostname *out);

/* "IP:port" with a dotted IPv4 or a bracketed IPv6 address. */
bool hostname_is_address(const char *text);

#endif
