/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the filter may decide by itself, by public shapes only: which bytes cannot hold a secret or a placeholder, and which
 * agents' clean heads for which hosts need no verdict of their own. Each thread reads the file for itself: no locks, and
 * nothing is freed under somebody's feet.
 */
#include "filter.h"

#include <fcntl.h>
#include <sys/stat.h>

enum {
	READ_EVERY_MS = 1000,
	TRUST_MS = 2000,
	FILE_MAX = 64 << 20,
	CACHE_SLOTS = 256,
	AGENT_MAX = 64,
	HOST_MAX = 260,
};

struct verdict {
	bool known[2];
	uint16_t agent_len, host_len;
	uint8_t key[AGENT_MAX + HOST_MAX];
};

struct shapes {
	const char *name;
	int dir;
	int read_at, good_at; /* ticks; 0: never */
	struct stat seen;     /* of the file that `prefilter` was made from */
	struct prefilter *prefilter;
	struct shape_file_header header;
	struct verdict cache[CACHE_SLOTS]; /* of header's generation and epoch */
};

struct shapes *shapes_new(const char *name, int dir)
{
	struct shapes *sh = calloc(1, sizeof(*sh));

	if (sh) {
		sh->name = name;
		sh->dir = dir;
	}
	return sh;
}

void shapes_free(struct shapes *sh)
{
	if (!sh)
		return;
	prefilter_free(sh->prefilter);
	free(sh);
}

static void forget(struct shapes *sh)
{
	prefilter_free(sh->prefilter);
	sh->prefilter = NULL;
	memset(&sh->seen, 0, sizeof(sh->seen));
	memset(sh->cache, 0, sizeof(sh->cache));
}

static bool read_all(int fd, size_t size, uint8_t *to)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, to + done, size - done, (off_t)done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool load(struct shapes *sh, int fd, const struct stat *st)
{
	uint8_t *bytes = malloc((size_t)st->st_size);
	struct shape_file_header header;
	struct shape_set *set = NULL;
	struct prefilter *prefilter;
	const char *why;

	if (bytes && read_all(fd, (size_t)st->st_size, bytes))
		set = shape_set_decode(span_of(bytes, (size_t)st->st_size), &header, &why);
	free(bytes);
	if (!set)
		return false;
	prefilter = prefilter_new(set);
	shape_set_free(set);
	if (!prefilter)
		return false;
	forget(sh);
	sh->prefilter = prefilter;
	sh->header = header;
	sh->seen = *st;
	return true;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The file is written beside and renamed, so what is open is whole. */
static bool refresh(struct shapes *sh)
{
	int fd = openat(sh->dir, sh->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	bool ok;

	if (fd < 0)
		return false;
	ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= FILE_MAX;
	if (ok && !(sh->prefilter && same_file(&st, &sh->seen)))
		ok = load(sh, fd, &st);
	close(fd);
	return ok;
}

static struct shapes *of_thread(struct flow *flow)
{
	return flow->conf->shapes ? flow->conf->shapes[tid] : NULL;
}

const struct prefilter *shapes_current(struct flow *flow)
{
	struct shapes *sh = of_thread(flow);

	if (!sh)
		return NULL;
	if (!sh->read_at || tick_is_expired(tick_add(sh->read_at, READ_EVERY_MS), now_ms)) {
		sh->read_at = tick_add(now_ms, 0);
		if (refresh(sh))
			sh->good_at = sh->read_at;
	}
	if (!sh->good_at || tick_is_expired(tick_add(sh->good_at, TRUST_MS), now_ms)) {
		sh->good_at = 0;
		forget(sh);
		return NULL;
	}
	return sh->header.prefilter ? sh->prefilter : NULL;
}

static struct verdict *slot_of(struct shapes *sh, struct span agent, struct span host)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < agent.len; i++)
		h = (h ^ agent.p[i]) * 0x100000001b3u;
	h = (h ^ '\n') * 0x100000001b3u;
	for (size_t i = 0; i < host.len; i++)
		h = (h ^ host.p[i]) * 0x100000001b3u;
	return &sh->cache[(h ^ h >> 32) % CACHE_SLOTS];
}

static bool is_of(const struct verdict *v, struct span agent, struct span host)
{
	return v->agent_len == agent.len && v->host_len == host.len && memcmp(v->key, agent.p, agent.len) == 0 &&
	       memcmp(v->key + AGENT_MAX, host.p, host.len) == 0;
}

bool shapes_verdict_known(struct flow *flow, int dir, struct span agent, struct span host)
{
	const struct verdict *v;

	if (!agent.len || !host.len || !shapes_current(flow))
		return false;
	v = slot_of(of_thread(flow), agent, host);
	return v->known[dir] && is_of(v, agent, host);
}

uint64_t shapes_epoch(struct flow *flow)
{
	const struct shapes *sh = of_thread(flow);

	return sh ? sh->header.epoch : 0;
}

void shapes_verdict_learn(struct flow *flow, int dir, struct span agent, struct span host, const uint8_t *gen, uint64_t epoch)
{
	struct shapes *sh = of_thread(flow);
	struct verdict *v;

	if (!agent.len || !host.len || agent.len > AGENT_MAX || host.len > HOST_MAX || !shapes_current(flow))
		return;
	/* a verdict of another generation than the file's, or from before an agent was suspended, would outlive it */
	if (memcmp(gen, sh->header.generation, EXCHANGE_GEN_BYTES) != 0 || epoch != sh->header.epoch)
		return;
	v = slot_of(sh, agent, host);
	if (!is_of(v, agent, host)) {
		memset(v, 0, sizeof(*v));
		v->agent_len = (uint16_t)agent.len;
		v->host_len = (uint16_t)host.len;
		memcpy(v->key, agent.p, agent.len);
		memcpy(v->key + AGENT_MAX, host.p, host.len);
	}
	v->known[dir] = true;
}

void shapes_verdicts_forget(struct flow *flow)
{
	struct shapes *sh = of_thread(flow);

	if (sh)
		memset(sh->cache, 0, sizeof(sh->cache));
}

/* Fields whose presence asks for a verdict on this very head, whatever the bytes. */
static bool always_judged(struct span name, struct span value)
{
	if (span_is(name, "content-encoding") || span_is(name, "grpc-encoding") || span_is(name, "content-range"))
		return true;
	/* framed messages are held and released by their frames, which only the agent reads */
	return span_is(name, "content-type") && value.len >= 16 && strncasecmp((const char *)value.p, "application/grpc", 16) == 0;
}

/* Standard names. HTX lowers names, and a shape knows a secret in its own letter case only: so a name that is none of these
 * is for the agent. Sorted. */
static const char *const plain_names[] = {
	"accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges", "access-control-allow-credentials",
	"access-control-allow-headers", "access-control-allow-methods", "access-control-allow-origin",
	"access-control-expose-headers", "access-control-max-age", "access-control-request-headers",
	"access-control-request-method", "age", "allow", "alt-svc", "anthropic-beta", "anthropic-version", "api-key",
	"authorization", "cache-control", "cf-cache-status", "cf-ray", "connection", "content-disposition", "content-encoding",
	"content-language", "content-length", "content-location", "content-range", "content-security-policy", "content-type",
	"cookie", "cross-origin-opener-policy", "cross-origin-resource-policy", "date", "dnt", "etag", "expect", "expires",
	"forwarded", "from", "git-protocol", "grpc-accept-encoding", "grpc-encoding", "grpc-message", "grpc-status", "host",
	"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive", "last-modified", "link",
	"location", "max-forwards", "nel", "openai-organization", "openai-processing-ms", "openai-version", "origin",
	"permissions-policy", "pragma", "private-token", "proxy-connection", "range", "referer", "referrer-policy", "report-to",
	"retry-after", "sec-ch-ua", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "server", "server-timing", "set-cookie",
	"strict-transport-security", "te", "trailer", "transfer-encoding", "upgrade-insecure-requests", "user-agent", "vary", "via",
	"www-authenticate", "x-api-key", "x-content-type-options", "x-frame-options", "x-goog-api-key", "x-powered-by",
	"x-ratelimit-limit-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests",
	"x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "x-request-id", "x-stainless-arch",
	"x-stainless-async", "x-stainless-lang", "x-stainless-os", "x-stainless-package-version", "x-stainless-retry-count",
	"x-stainless-runtime", "x-stainless-runtime-version", "x-stainless-timeout", "x-xss-protection",
};

static int compare_name(const void *key, const void *member)
{
	const struct span *name = key;
	const char *plain = *(const char *const *)member;
	size_t len = strlen(plain);
	int cmp = memcmp(name->p, plain, MIN(name->len, len));

	return cmp ? cmp : (name->len > len) - (name->len < len);
}

static bool name_is_plain(struct span name)
{
	return bsearch(&name, plain_names, sizeof(plain_names) / sizeof(*plain_names), sizeof(*plain_names), compare_name);
}

/* Paths that a policy's prefixes could be read around are judged each time, TRACE too. */
static bool is_odd_request(const struct head *h)
{
	return span_is(h->method, "TRACE") || memchr(h->uri.p, '%', h->uri.len) || memmem(h->uri.p, h->uri.len, "..", 2) ||
	       memchr(h->uri.p, '\\', h->uri.len);
}

/* Joins nothing on its two sides: no spelling of anything has it. */
enum { SEPARATOR = 1 };

static bool append_part(struct buf *out, struct span part)
{
	return buf_append_span(out, part) == 0 && buf_putc(out, SEPARATOR) == 0;
}

/* What of a head may hold a secret or placeholder: not its well-known names. The lengths between the values would look like
 * UTF-16. false: the agent is to judge it, whatever the bytes. */
static bool take_values(struct buf *out, const struct head *h)
{
	struct span rest = h->fields;
	struct head_field f;
	int more;

	if ((h->kind == HEAD_RESPONSE && h->status == 206) || (h->kind == HEAD_REQUEST && is_odd_request(h)))
		return false;
	if (h->kind == HEAD_REQUEST && !(append_part(out, h->method) && append_part(out, h->uri)))
		return false;
	while ((more = head_next_field(&f, &rest)) == 1)
		if (!name_is_plain(f.name) || always_judged(f.name, f.value) || !append_part(out, f.value))
			return false;
	return more == 0;
}

bool shapes_head_is_clean(struct flow *flow, struct span head)
{
	static __thread struct buf values;
	const struct prefilter *pf = shapes_current(flow);
	struct head h;
	bool clean;

	clean = pf && head_decode(&h, head) == 0 && take_values(&values, &h) && !prefilter_candidate(pf, buf_span(&values), true);
	buf_wipe(&values); /* an answer's head may hold a real secret */
	return clean;
}
