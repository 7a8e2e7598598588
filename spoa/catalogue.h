/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is known of providers' credentials: the variable that tools read, how the token begins, which hosts it belongs to and where
 * it stands in a request. Data; docs say that it is a help for a first policy and no more.
 */
#ifndef SLAPENIR_CATALOGUE_H
#define SLAPENIR_CATALOGUE_H

#include <stddef.h>

#include "buf.h"

enum catalogue_kind {
	CATALOGUE_SENT,     /* the token is sent, so a placeholder can stand for it */
	CATALOGUE_SIGNS,    /* it only signs requests and is never sent: a placeholder in its place makes wrong signatures */
	CATALOGUE_REGISTRY, /* it belongs to the host that the machine's own package tool is set up with */
};

struct catalogue_entry {
	const char *provider;
	const char *variables; /* separated by blanks; MY_ or APP_ in front of one is recognised too */
	const char *prefix;    /* by which a token is recognised under another name; NULL: by its name only */
	const char *hosts;     /* separated by blanks; of CATALOGUE_REGISTRY: the tool, npm or pip or … */
	const char *inject;    /* as in the policy; NULL: header */
	const char *headers;   /* besides the built-in ones; NULL: none */
	enum catalogue_kind kind;
};

size_t catalogue_count(void);
const struct catalogue_entry *catalogue_get(size_t i);

/* By the variable's name, else by how the value begins; NULL: not known. */
const struct catalogue_entry *catalogue_find(struct span name, struct span value);

#endif
