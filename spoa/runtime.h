/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * HAProxy's runtime API: one command, one answer, over its stats socket. Blocking, with time-outs.
 */
#ifndef SLAPENIR_RUNTIME_H
#define SLAPENIR_RUNTIME_H

#include "buf.h"

/* Sends the command (with its payload, if it takes one) and appends the answer. -1 and errno: no HAProxy there, or no answer. */
int runtime_ask(const char *socket_path, struct span command, struct buf *answer) __attribute__((warn_unused_result));

/* The changes that the gateway makes. 0: HAProxy confirmed it; -1: it did not. `list`, `cert`, `crl` and `map` are the
 * names under which HAProxy loaded them, i.e. the paths. */
int runtime_add_leaf(const char *socket_path, const char *list, const char *cert, struct span pem) __attribute__((warn_unused_result));
int runtime_replace_leaf(const char *socket_path, const char *cert, struct span pem) __attribute__((warn_unused_result));
int runtime_remove_leaf(const char *socket_path, const char *list, const char *cert) __attribute__((warn_unused_result));
int runtime_replace_crl(const char *socket_path, const char *crl, struct span pem) __attribute__((warn_unused_result));
int runtime_replace_map(const char *socket_path, const char *map, struct span lines) __attribute__((warn_unused_result));

#endif
