/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory for secrets and for what is compiled from them: one shared anonymous mapping per generation, locked, left out
 * of core dumps, wiped when released. Shared, so that forked workers use the master's pages; a child that inherits it
 * calls secret_arena_lock() again, because mlock is not inherited. Pointers stay valid over fork. Whoever wipes it wipes it for
 * all: secret_arena_free() does so in the process that made the arena and only unmaps in any other.
 */
#ifndef SLAPENIR_SECRET_H
#define SLAPENIR_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct secret_arena;

/* Reserves address space; pages are touched as they are used. NULL and errno on failure. */
struct secret_arena *secret_arena_new(size_t max_bytes);
/* Zeroed, aligned to 64. NULL when full: the arena is as before. Not after secret_arena_seal(). */
void *secret_arena_alloc(struct secret_arena *a, size_t bytes);
void *secret_arena_dup(struct secret_arena *a, const void *p, size_t bytes); /* adds a NUL that is not counted */
size_t secret_arena_used(const struct secret_arena *a);
/* Locks what is used so far. -1 and errno (ENOMEM: the memlock limit is too low). */
int secret_arena_lock(struct secret_arena *a) __attribute__((warn_unused_result));
/* Read-only from now on. */
int secret_arena_seal(struct secret_arena *a) __attribute__((warn_unused_result));
void secret_arena_free(struct secret_arena *a); /* NULL is allowed */

/* Process-wide: not dumpable, no core, as much lockable memory as the hard limit allows. Call before the first secret is read.
 * -1 and errno. */
int secret_process_harden(void) __attribute__((warn_unused_result));

#endif
