/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The compiled policies that live: the newest judges new requests and all responses, older ones are kept for requests
 * that they have judged. And the shapes file, by which HAProxy decides what it need not ask: always the union of what any living
 * generation, any master that shares the file or the file's last author may need.
 */
#ifndef SLAPENIR_GENERATIONS_H
#define SLAPENIR_GENERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "key.h"
#include "policy.h"

enum {
	GENERATIONS_OLD_MAX = 8,
	GENERATIONS_KEEP_MS = 10 * 60 * 1000,
	SHAPES_SETTLE_MS = 3000, /* until every HAProxy judges by what was published */
};

struct generations;

struct generations_options { /* all outlive it */
	const char *policy;
	const char *shapes; /* path of the file */
	gid_t shapes_group; /* (gid_t)-1: ours */
};

/* Copies options and key; the key's copy is blank in forked children. NULL: out of (lockable) memory. */
struct generations *generations_new(const struct generations_options *o, const uint8_t key[KEY_BYTES]);
void generations_free(struct generations *g); /* wipes all */

/* Compiles the policy file as it is now and locks it in memory. NULL: the reasons are in the report. It is no generation until
 * generations_push(); else policy_free() it. */
struct policy *generations_compile(struct generations *g, struct report *r);

/* It is the newest from now on; at most GENERATIONS_OLD_MAX older ones stay. */
void generations_push(struct generations *g, struct policy *p, uint64_t now_ms);
/* Takes the newest off again and frees it. */
void generations_pop(struct generations *g);

/* Forgets what is over its time; true when something was. in_use says whether a worker still holds it (then it is only taken off
 * the list, and freed by a later call). */
bool generations_expire(struct generations *g, uint64_t now_ms, bool (*in_use)(void *ctx, const struct policy *p), void *ctx);

/* The newest first. */
const struct policy *const *generations_list(const struct generations *g, size_t *count);
const struct policy *generations_newest(const struct generations *g); /* NULL: none yet */

/* Writes the shapes file: the union of all that live and of `next` (may be NULL), judged in the name of the newest that serves.
 * Each file has an epoch of its own, so that verdicts which HAProxy remembers die with it (an agent was suspended).
 * Sets *grown when a file was there that did not hold all of it. -1: the reason is logged. */
int generations_publish(struct generations *g, const struct policy *next, bool *grown) __attribute__((warn_unused_result));

uint64_t generations_epoch(const struct generations *g);

#endif
