/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "secret.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ARENA_ALIGN = 64 };

/* Of the mapping only base..base+room is accessible; a page without access lies before and after it:
 *
 *	map | guard | base  used        room | guard |
 */
struct secret_arena {
	uint8_t *map, *base;
	size_t page, room, used;
	pid_t owner; /* the mapping is shared, so whoever wipes it wipes it for all: only its maker may */
};

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

struct secret_arena *secret_arena_new(size_t max_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct secret_arena *a;

	if (max_bytes == 0 || max_bytes > SIZE_MAX / 2) {
		errno = EINVAL;
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->page = page;
	a->room = round_up(max_bytes, page);
	a->owner = getpid();
	a->map = mmap(NULL, a->room + 2 * page, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->map == MAP_FAILED) {
		free(a);
		return NULL;
	}
	a->base = a->map + page;
	if (mprotect(a->base, a->room, PROT_READ | PROT_WRITE) < 0 || madvise(a->base, a->room, MADV_DONTDUMP) < 0) {
		munmap(a->map, a->room + 2 * page);
		free(a);
		return NULL;
	}
	return a;
}

void *secret_arena_alloc(struct secret_arena *a, size_t bytes)
{
	uint8_t *p;

	if (bytes > a->room - a->used)
		return NULL;
	p = a->base + a->used;
	a->used += round_up(bytes, ARENA_ALIGN);
	if (a->used > a->room)
		a->used = a->room;
	return p;
}

void *secret_arena_dup(struct secret_arena *a, const void *p, size_t bytes)
{
	uint8_t *copy;

	if (bytes == SIZE_MAX)
		return NULL;
	copy = secret_arena_alloc(a, bytes + 1);
	if (copy && bytes)
		memcpy(copy, p, bytes);
	return copy;
}

size_t secret_arena_used(const struct secret_arena *a)
{
	return a->used;
}

int secret_arena_lock(struct secret_arena *a)
{
	return a->used ? mlock(a->base, round_up(a->used, a->page)) : 0;
}

int secret_arena_seal(struct secret_arena *a)
{
	return mprotect(a->base, a->room, PROT_READ);
}

void secret_arena_free(struct secret_arena *a)
{
	if (!a)
		return;
	if (a->owner == getpid() && mprotect(a->base, a->room, PROT_READ | PROT_WRITE) == 0)
		explicit_bzero(a->base, a->used);
	munmap(a->map, a->room + 2 * a->page);
	free(a);
}

int secret_process_harden(void)
{
	const struct rlimit none = {0, 0};
	struct rlimit memlock;

	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return -1;
	/* as much as an unprivileged process may lock; whether that is enough shows when an arena is locked */
	if (getrlimit(RLIMIT_MEMLOCK, &memlock) < 0)
		return -1;
	memlock.rlim_cur = memlock.rlim_max;
	return setrlimit(RLIMIT_MEMLOCK, &memlock);
}
