/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * HAProxy's runtime API: one command, one answer, over its stats socket. Blocking, with time-outs.
 */
#ifndef SLAPENIR_RUNTIME_H
#define SLAPENIR_RUNTIME_H

#include "buf.h"

/* Which process: the one that listens now (its stats socket, prefix ""), or any worker, old ones too, over the master's socket with
 * prefix "@!PID ". */
struct runtime {
	const char *socket;
	char prefix[24];
};

/* Process ids of all workers of a master, those that only finish their streams too. Returns how many, at most `max`; -1: no answer. */
int runtime_workers(const char *master_socket, int *pids, int max) __attribute__((warn_unused_result));

/* The changes that the gateway makes. 0: HAProxy confirmed it; -1: it did not. `list`, `cert`, `crl` and `map` are the
 * names under which HAProxy loaded them, i.e. the paths. */
int runtime_add_leaf(const struct runtime *to, const char *list, const char *cert, struct span pem) __attribute__((warn_unused_result));
int runtime_replace_leaf(const struct runtime *to, const char *cert, struct span pem) __attribute__((warn_unused_result));
int runtime_remove_leaf(const struct runtime *to, const char *list, const char *cert) __attribute__((warn_unused_result));
int runtime_replace_crl(const struct runtime *to, const char *crl, struct span pem) __attribute__((warn_unused_result));
int runtime_replace_map(const struct runtime *to, const char *map, struct span lines) __attribute__((warn_unused_result));

#endif
