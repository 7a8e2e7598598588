/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "policy_internal.h"

enum {
	ARENA_BASE = 64 << 20,
	ARENA_PER_SECRET = 64 << 10,
	SCRATCH_BYTES = 1 << 30, /* address space; what is touched is the size of the token files */
};

void *policy_build_alloc(struct policy_build *b, size_t bytes)
{
	void *p = secret_arena_alloc(b->arena, bytes);

	if (!p)
		report_error(b->r, b->o->file, 0, "the policy does not fit into memory");
	return p;
}

const char *policy_build_text(struct policy_build *b, const char *text)
{
	const char *copy = text ? secret_arena_dup(b->arena, text, strlen(text)) : NULL;

	if (!copy)
		report_error(b->r, b->o->file, 0, "the policy does not fit into memory");
	return copy;
}

const char *policy_build_path(struct policy_build *b, const char *name)
{
	const char *slash = strrchr(b->o->file, '/');
	size_t dir = slash && name[0] != '/' ? (size_t)(slash - b->o->file) + 1 : 0;
	char *path = tree_alloc(b->c.tree, dir + strlen(name) + 1);

	if (path) {
		memcpy(path, b->o->file, dir);
		strcpy(path + dir, name);
	}
	return path;
}

/* --- the generation's id: the same on every instance that has the same policy and secrets --- */

static int put(struct buf *out, const char *tag, struct span value)
{
	if (buf_append(out, tag, strlen(tag)) < 0 || buf_u32(out, (uint32_t)value.len) < 0)
		return -1;
	return buf_append_span(out, value);
}

static int put_text(struct buf *out, const char *tag, const struct config_text *t)
{
	return t->text ? put(out, tag, span_str(t->text)) : 0;
}

static int put_list(struct buf *out, const char *tag, const struct config_list *l)
{
	int rc = l->line ? put(out, tag, span_str("")) : 0;

	for (size_t i = 0; rc == 0 && i < l->count; i++)
		rc = put_text(out, tag, &l->item[i]);
	return rc;
}

static int put_numbers(struct buf *out, const char *tag, const unsigned *n, size_t count)
{
	int rc = buf_append(out, tag, strlen(tag));

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = buf_u32(out, n[i]);
	return rc;
}

static int put_secret(struct buf *out, const struct policy_build *b, size_t i)
{
	const struct config_secret *s = &b->c.secret[i];
	const unsigned n[] = {s->places, s->allow_short, b->entry_of[i] != POLICY_NONE};

	if (put_text(out, "secret", &s->name) < 0 || put_list(out, "hosts", &s->hosts) < 0 || put_list(out, "headers", &s->headers) < 0 ||
	    put_list(out, "methods", &s->methods) < 0 || put_list(out, "paths", &s->paths) < 0 || put_text(out, "prefix", &s->prefix) < 0 ||
	    put_text(out, "placeholder", &s->placeholder) < 0 || put_numbers(out, "flags", n, 3) < 0)
		return -1;
	return n[2] ? put(out, "value", b->rewrite[b->entry_of[i]].value) : 0;
}

static int put_host(struct buf *out, const struct config_host *h)
{
	const unsigned n[] = {h->require, h->http_allowed, h->ranges_allowed, h->name.bare};

	return put_text(out, "host", &h->name) < 0 || put_text(out, "connect", &h->connect) < 0 || put_text(out, "ca", &h->ca) < 0 ||
	       put_list(out, "methods", &h->methods) < 0 || put_list(out, "paths", &h->paths) < 0 ? -1 : put_numbers(out, "flags", n, 4);
}

static int put_agent(struct buf *out, const struct config_agent *a)
{
	const unsigned n[] = {a->all_secrets, a->streams, a->requests_per_second};

	return put_text(out, "agent", &a->name) < 0 || put_list(out, "secrets", &a->secrets) < 0 || put_list(out, "hosts", &a->hosts) < 0 ?
	       -1 : put_numbers(out, "flags", n, 3);
}

static int make_generation(struct policy_build *b)
{
	const struct config *c = &b->c;
	const unsigned n[] = {c->agents_given, c->audit_best_effort, c->tripwire_suspends, c->no_prefilter, c->isolation_strict, c->grace_seconds};
	struct buf text = {0};
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned len = sizeof(mac);
	int rc = put_numbers(&text, "policy 1", n, 6);

	for (size_t i = 0; rc == 0 && i < c->secret_count; i++)
		rc = put_secret(&text, b, i);
	for (size_t i = 0; rc == 0 && i < c->host_count; i++)
		rc = put_host(&text, &c->host[i]);
	for (size_t i = 0; rc == 0 && i < c->agent_count; i++)
		rc = put_agent(&text, &c->agent[i]);
	if (rc == 0)
		rc = put_list(&text, "drop", &c->drop_response_headers);
	if (rc == 0 && !HMAC(EVP_sha256(), b->o->key, KEY_BYTES, text.p, text.len, mac, &len))
		rc = -1;
	if (rc == 0)
		memcpy(b->p->generation, mac, sizeof(b->p->generation));
	else
		report_error(b->r, b->o->file, 0, "the generation's id cannot be computed: out of memory");
	OPENSSL_cleanse(mac, sizeof(mac));
	buf_deinit(&text);
	return rc;
}

/* --- header names --- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int build_headers(struct policy_build *b)
{
	static const char *const known[] = {"authorization", "x-api-key", "api-key", "private-token", "x-goog-api-key"};
	const struct config_list *drop = &b->c.drop_response_headers;
	size_t count = sizeof(known) / sizeof(known[0]), kept = 0;
	const char **all, **dropped;

	for (size_t i = 0; i < b->p->exported; i++)
		count += b->p->entry[i].header_count;
	all = policy_build_alloc(b, count * sizeof(*all));
	dropped = policy_build_alloc(b, (drop->count + 1) * sizeof(*dropped));
	if (!all || !dropped)
		return -1;
	count = 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		all[count++] = known[i];
	for (size_t i = 0; i < b->p->exported; i++)
		for (size_t k = 0; k < b->p->entry[i].header_count; k++)
			all[count++] = b->p->entry[i].header[k];
	qsort(all, count, sizeof(*all), by_text);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || strcmp(all[kept - 1], all[i]) != 0)
			all[kept++] = all[i];
	b->p->credential = all;
	b->p->credentials = kept;
	for (size_t i = 0; i < drop->count; i++)
		if (!(dropped[i] = policy_build_text(b, drop->item[i].text)))
			return -1;
	if (drop->count)
		qsort(dropped, drop->count, sizeof(*dropped), by_text);
	b->p->dropped = dropped;
	b->p->dropped_count = drop->count;
	return 0;
}

/* --- the whole --- */

static int build_engine(struct policy_build *b)
{
	const char *why = "out of memory";

	b->p->rewriter = rewriter_new(b->arena, b->rewrite, b->p->entries, &why);
	b->p->shapes = shape_set_new();
	for (size_t i = 0; b->p->shapes && i < b->p->entries; i++)
		if (shape_set_add(b->p->shapes, &b->rewrite[i].shape) < 0 ||
		    (b->rewrite[i].given.len && shape_set_add_literal(b->p->shapes, b->rewrite[i].given) < 0)) {
			shape_set_free(b->p->shapes);
			b->p->shapes = NULL;
		}
	if (b->p->rewriter && b->p->shapes)
		return 0;
	report_error(b->r, b->o->file, 0, "the policy cannot be compiled: %s", why);
	return -1;
}

static int build(struct policy_build *b)
{
	if (config_load(&b->c, b->o->file, b->r) < 0)
		return -1;
	b->arena = secret_arena_new(ARENA_BASE + (b->c.secret_count + (b->o->previous ? b->o->previous->entries : 0)) * (size_t)ARENA_PER_SECRET);
	b->scratch = secret_arena_new(SCRATCH_BYTES);
	if (!b->arena || !b->scratch) {
		report_error(b->r, b->o->file, 0, "no memory for secrets: %s", strerror(errno));
		return -1;
	}
	b->p = policy_build_alloc(b, sizeof(*b->p));
	if (!b->p)
		return -1;
	b->p->arena = b->arena;
	b->p->audit_required = !b->c.audit_best_effort;
	b->p->tripwire_suspends = b->c.tripwire_suspends;
	b->p->prefilter = !b->c.no_prefilter;
	b->p->isolation_strict = b->c.isolation_strict;
	if (policy_build_secrets(b) < 0 || policy_build_rules(b) < 0 || policy_build_hosts(b) < 0 || policy_build_agents(b) < 0 ||
	    build_headers(b) < 0 || make_generation(b) < 0 || build_engine(b) < 0)
		return -1;
	return 0;
}

struct policy *policy_load(const struct policy_options *o, struct report *r)
{
	struct policy_build b = {.o = o, .r = r};
	int rc = build(&b);

	if (rc == 0 && secret_arena_seal(b.arena) < 0) {
		report_error(r, o->file, 0, "the secrets' memory cannot be sealed: %s", strerror(errno));
		rc = -1;
	}
	free(b.entry_of);
	config_free(&b.c);
	secret_arena_free(b.scratch);
	if (rc == 0)
		return b.p;
	if (b.p)
		policy_free(b.p);
	else
		secret_arena_free(b.arena);
	return NULL;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	rewriter_free(p->rewriter);
	shape_set_free(p->shapes);
	secret_arena_free(p->arena);
}
