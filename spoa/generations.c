/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "generations.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "report.h"

enum {
	CANARY_BYTES = 32, /* of HMAC-SHA-256 */
	SHAPES_MAX = 16 * 1024 * 1024,
	LIVE_MAX = 1 + GENERATIONS_OLD_MAX,
};

/* What only the master may know: in a page of its own that the kernel blanks in each child. */
struct private {
	uint8_t key[KEY_BYTES];
	uint8_t canary[CANARY_BYTES];
};

struct generations {
	struct generations_options o;
	struct private *private;
	const struct policy *live[LIVE_MAX]; /* the newest first */
	uint64_t retired_ms[LIVE_MAX];       /* when a newer one came; of live[0] unused */
	size_t count;
	const struct policy **leaving; /* off the list, still held by a worker */
	size_t leaving_count;
	uint64_t epoch;
	struct shape_set *foreign; /* found in the file, written by somebody else */
	uint64_t foreign_ms;       /* when */
	struct buf published;      /* what we wrote last */
};

/* From the key: an answer may be scanned by another instance than the one that put the canary into the request. */
static int make_canary(uint8_t canary[CANARY_BYTES], const uint8_t key[KEY_BYTES])
{
	static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	static const char context[] = "slapenir canary value";
	uint8_t mac[CANARY_BYTES];

	if (!HMAC(EVP_sha256(), key, KEY_BYTES, (const uint8_t *)context, strlen(context), mac, NULL))
		return -1;
	for (size_t i = 0; i < CANARY_BYTES; i++)
		canary[i] = (uint8_t)alphabet[mac[i] % 62];
	return 0;
}

static struct private *private_new(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, page, MADV_WIPEONFORK) < 0 || madvise(p, page, MADV_DONTDUMP) < 0 || mlock(p, page) < 0) {
		munmap(p, page);
		return NULL;
	}
	return p;
}

static void private_free(struct private *p)
{
	if (!p)
		return;
	explicit_bzero(p, sizeof(*p));
	munmap(p, (size_t)sysconf(_SC_PAGESIZE));
}

struct generations *generations_new(const struct generations_options *o, const uint8_t key[KEY_BYTES])
{
	struct generations *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->o = *o;
	g->private = private_new();
	if (!g->private || make_canary(g->private->canary, key) < 0) {
		generations_free(g);
		return NULL;
	}
	memcpy(g->private->key, key, KEY_BYTES);
	g->epoch = clock_wall_ms(); /* above that of a predecessor, whose file may be gone */
	return g;
}

/* Freeing is the only way by which a const snapshot ends. */
static void release(const struct policy *p)
{
	policy_free((struct policy *)p);
}

void generations_free(struct generations *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->count; i++)
		release(g->live[i]);
	for (size_t i = 0; i < g->leaving_count; i++)
		release(g->leaving[i]);
	free(g->leaving);
	shape_set_free(g->foreign);
	buf_deinit(&g->published);
	private_free(g->private);
	free(g);
}

static void report_memlock(struct generations *g, struct report *r, size_t bytes)
{
	struct rlimit limit = {0, 0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	report_error(r, g->o.policy, 0,
	             "the secrets' memory cannot be locked: %zu KiB are needed, the limit is %llu KiB for all generations; raise it with "
	             "`ulimit -l`, LimitMEMLOCK= (systemd) or ulimits.memlock (compose)",
	             bytes / 1024, (unsigned long long)limit.rlim_cur / 1024);
}

struct policy *generations_compile(struct generations *g, struct report *r)
{
	struct policy_options o = {
		.file = g->o.policy,
		.key = g->private->key,
		.canary = true,
		.canary_value = g->private->canary,
		.previous = generations_newest(g),
	};
	struct policy *p = policy_load(&o, r);

	if (p && secret_arena_lock(policy_arena(p)) < 0) {
		report_memlock(g, r, secret_arena_used(policy_arena(p)));
		policy_free(p);
		p = NULL;
	}
	return p;
}

static void take_off(struct generations *g, size_t i)
{
	const struct policy **more = reallocarray(g->leaving, g->leaving_count + 1, sizeof(*more));

	if (more) { /* else it is never wiped, which is better than too early */
		g->leaving = more;
		g->leaving[g->leaving_count++] = g->live[i];
	}
	g->count--;
	memmove(&g->live[i], &g->live[i + 1], (g->count - i) * sizeof(g->live[0]));
	memmove(&g->retired_ms[i], &g->retired_ms[i + 1], (g->count - i) * sizeof(g->retired_ms[0]));
}

void generations_push(struct generations *g, struct policy *p, uint64_t now_ms)
{
	if (g->count == LIVE_MAX)
		take_off(g, g->count - 1);
	memmove(&g->live[1], &g->live[0], g->count * sizeof(g->live[0]));
	memmove(&g->retired_ms[1], &g->retired_ms[0], g->count * sizeof(g->retired_ms[0]));
	g->live[0] = p;
	g->count++;
	if (g->count > 1)
		g->retired_ms[1] = now_ms;
}

void generations_pop(struct generations *g)
{
	take_off(g, 0);
}

bool generations_expire(struct generations *g, uint64_t now_ms, bool (*in_use)(void *ctx, const struct policy *p), void *ctx)
{
	bool forgotten = false;
	size_t kept = 0;

	while (g->count > 1 && now_ms - g->retired_ms[g->count - 1] >= GENERATIONS_KEEP_MS) {
		take_off(g, g->count - 1);
		forgotten = true;
	}
	for (size_t i = 0; i < g->leaving_count; i++) {
		if (in_use(ctx, g->leaving[i]))
			g->leaving[kept++] = g->leaving[i];
		else
			release(g->leaving[i]);
	}
	g->leaving_count = kept;
	return forgotten;
}

const struct policy *const *generations_list(const struct generations *g, size_t *count)
{
	*count = g->count;
	return g->live;
}

const struct policy *generations_newest(const struct generations *g)
{
	return g->count ? g->live[0] : NULL;
}

/* 0, or -1: there is none, or it cannot be read. */
static int read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int rc = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= SHAPES_MAX && buf_reserve(out, (size_t)st.st_size + 1) == 0) {
		ssize_t n = read(fd, out->p, (size_t)st.st_size);

		if (n >= 0) {
			out->len = (size_t)n;
			rc = 0;
		}
	}
	close(fd);
	return rc;
}

/* The set that stands in the file; NULL when it cannot be used. Whoever else wrote it (this master's predecessor, another master
 * of the same stack) may have streams that need its shapes for as long as generations are kept. */
static struct shape_set *take_file(struct generations *g)
{
	struct shape_file_header header = {0};
	struct shape_set *set = NULL;
	struct buf file = {0};
	const char *why;

	if (g->foreign && clock_ms() - g->foreign_ms >= GENERATIONS_KEEP_MS) {
		shape_set_free(g->foreign);
		g->foreign = NULL;
	}
	if (read_file(g->o.shapes, &file) == 0)
		set = shape_set_decode(buf_span(&file), &header, &why);
	if (set && header.epoch > g->epoch)
		g->epoch = header.epoch;
	if (set && !span_eq(buf_span(&file), buf_span(&g->published))) {
		g->foreign = g->foreign ? g->foreign : shape_set_new();
		g->foreign_ms = clock_ms();
		if (!g->foreign || shape_set_merge(g->foreign, set) < 0)
			log_warn("%s: out of memory for the shapes of another master", g->o.shapes);
	}
	buf_deinit(&file);
	return set;
}

/* Does `all` hold anything that `before` does not? Merges it into `before`. */
static bool grows(struct shape_set *before, const struct shape_set *all)
{
	size_t count = shape_set_count(before);

	return shape_set_merge(before, all) < 0 || shape_set_count(before) > count;
}

/* Several masters may publish at once, so each has a name of its own beside the file. */
static int write_file(const struct generations *g, struct span bytes)
{
	char beside[PATH_MAX];
	int fd, rc;

	if (snprintf(beside, sizeof(beside), "%s.%d.%llx", g->o.shapes, (int)getpid(), (unsigned long long)clock_ms()) >=
	    (int)sizeof(beside)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	rc = write(fd, bytes.p, bytes.len) == (ssize_t)bytes.len ? 0 : -1;
	if (rc == 0 && g->o.shapes_group != (gid_t)-1)
		rc = fchown(fd, (uid_t)-1, g->o.shapes_group);
	if (rc == 0)
		rc = fchmod(fd, 0640);
	close(fd);
	if (rc == 0)
		rc = rename(beside, g->o.shapes);
	if (rc < 0) {
		int saved = errno;

		unlink(beside);
		errno = saved;
	}
	return rc;
}

static struct shape_set *union_of_all(const struct generations *g, const struct policy *next)
{
	struct shape_set *all = shape_set_new();
	int rc = all ? 0 : -1;

	for (size_t i = 0; i < g->count && rc == 0; i++)
		rc = shape_set_merge(all, policy_shapes(g->live[i]));
	for (size_t i = 0; i < g->leaving_count && rc == 0; i++)
		rc = shape_set_merge(all, policy_shapes(g->leaving[i]));
	if (rc == 0 && next)
		rc = shape_set_merge(all, policy_shapes(next));
	if (rc == 0 && g->foreign)
		rc = shape_set_merge(all, g->foreign);
	if (rc == 0)
		return all;
	shape_set_free(all);
	return NULL;
}

int generations_publish(struct generations *g, const struct policy *next, bool *grown)
{
	const struct policy *serving = g->count ? g->live[0] : next;
	struct shape_file_header header = {.prefilter = policy_prefilter(serving) && (!next || policy_prefilter(next))};
	struct shape_set *before = take_file(g), *all = union_of_all(g, next);
	struct buf bytes = {0};
	int rc = -1;

	errno = ENOMEM;
	if (all) {
		*grown = before && grows(before, all);
		memcpy(header.generation, policy_generation(serving), sizeof(header.generation));
		header.epoch = ++g->epoch;
		rc = shape_set_encode(&bytes, all, &header);
	}
	if (rc == 0)
		rc = write_file(g, buf_span(&bytes));
	if (rc < 0) {
		log_error("%s: %m", g->o.shapes);
		buf_deinit(&bytes);
	} else {
		buf_deinit(&g->published);
		g->published = bytes;
	}
	shape_set_free(before);
	shape_set_free(all);
	return rc;
}

uint64_t generations_epoch(const struct generations *g)
{
	return g->epoch;
}
