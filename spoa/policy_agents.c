/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_internal.h"

static void set_bit(uint8_t *bitmap, size_t i)
{
	bitmap[i >> 3] |= (uint8_t)(1u << (i & 7));
}

static bool mark(const struct policy_build *b, const char *name, bool http, uint8_t *hosts)
{
	uint32_t i = policy_host_index(b->p, name, http);

	if (i != POLICY_NONE)
		set_bit(hosts, i);
	return i != POLICY_NONE;
}

/* Its own entries: with TLS, and plain http on the same port, or on 80 when it was written without a port. */
static bool mark_name(const struct policy_build *b, const struct config_text *pattern, bool tls_only, uint8_t *hosts)
{
	const char *colon = strrchr(pattern->text, ':');
	char plain[HOSTNAME_MAX];
	bool any = mark(b, pattern->text, false, hosts);

	if (tls_only)
		return any;
	snprintf(plain, sizeof(plain), "%.*s%s", (int)(colon - pattern->text), pattern->text, pattern->bare ? ":80" : colon);
	return mark(b, plain, true, hosts) || any;
}

/* "*.rest:port" also means the entries that it covers. */
static bool mark_hosts(const struct policy_build *b, const struct config_text *pattern, bool tls_only, uint8_t *hosts)
{
	bool any = mark_name(b, pattern, tls_only, hosts);

	for (size_t i = 0; pattern->text[0] == '*' && i < b->p->hosts; i++) {
		const struct policy_host *h = &b->p->host[i].public;
		const char *rest = h->name[0] == '*' ? NULL : strchr(h->name, '.'), *port = strrchr(h->name, ':');
		const char *rest2 = pattern->text + 1, *port2 = strrchr(pattern->text, ':');

		if (!rest || (h->http && tls_only) || port - rest != port2 - rest2 || memcmp(rest, rest2, (size_t)(port - rest)) != 0 ||
		    strcmp(port, h->http && pattern->bare ? ":80" : port2) != 0)
			continue;
		set_bit(hosts, i);
		any = true;
	}
	return any;
}

static int by_secret_name(const void *a, const void *b)
{
	const struct config_secret *x = *(const struct config_secret *const *)a, *y = *(const struct config_secret *const *)b;

	return strcmp(x->name.text, y->name.text);
}

static void unknown_secret(struct policy_build *b, const struct config_agent *a, const struct config_text *item)
{
	const char **names = calloc(b->c.secret_count + 1, sizeof(*names)), *meant = NULL;

	for (size_t i = 0; names && i < b->c.secret_count; i++)
		names[i] = b->c.secret[i].name.text;
	if (names)
		meant = report_near_miss(item->text, names, b->c.secret_count);
	report_error(b->r, b->o->file, item->line, "%s: %s is not among secrets:%s%s%s", a->name.text, item->text, meant ? "; did you mean " : ": add it there",
	             meant ? meant : "", meant ? "?" : "");
	free(names);
}

/* All that agent's secrets may be sent to is its to reach. */
static void add_secret(const struct policy_build *b, const struct config_secret *s, struct policy_agent *out)
{
	uint32_t entry = b->entry_of[s - b->c.secret];

	if (entry != POLICY_NONE)
		set_bit((uint8_t *)out->secrets, entry);
	for (size_t i = 0; !out->all_hosts && i < s->hosts.count; i++)
		mark_hosts(b, &s->hosts.item[i], true, (uint8_t *)out->hosts);
}

static int fill_agent(struct policy_build *b, const struct config_agent *a, const struct config_secret **sorted, struct policy_agent *out)
{
	out->name = policy_build_text(b, a->name.text);
	out->line = a->name.line;
	out->limits = (struct policy_limits){a->streams, a->requests_per_second};
	out->secrets = policy_build_alloc(b, b->p->entries / 8 + 1);
	out->hosts = policy_build_alloc(b, b->p->hosts / 8 + 1);
	out->all_hosts = a->hosts.line == 0;
	if (!out->name || !out->secrets || !out->hosts)
		return -1;
	for (size_t i = 0; i < a->hosts.count; i++)
		if (!mark_hosts(b, &a->hosts.item[i], false, (uint8_t *)out->hosts))
			report_error(b->r, b->o->file, a->hosts.item[i].line, "%s: %s is allowed neither under hosts: nor by a secret: add it there",
			             a->name.text, a->hosts.item[i].text);
	for (size_t i = 0; a->all_secrets && i < b->c.secret_count; i++)
		add_secret(b, &b->c.secret[i], out);
	for (size_t i = 0; i < a->secrets.count; i++) {
		struct config_secret key = {.name = a->secrets.item[i]};
		const struct config_secret *wanted = &key, *const *found = NULL;

		if (b->c.secret_count)
			found = bsearch(&wanted, sorted, b->c.secret_count, sizeof(wanted), by_secret_name);
		if (found)
			add_secret(b, *found, out);
		else
			unknown_secret(b, a, &a->secrets.item[i]);
	}
	return 0;
}

static int by_agent_name(const void *a, const void *b)
{
	return strcmp(((const struct policy_agent *)a)->name, ((const struct policy_agent *)b)->name);
}

int policy_build_agents(struct policy_build *b)
{
	struct policy_agent *agent = policy_build_alloc(b, (b->c.agent_count + 1) * sizeof(*agent));
	const struct config_secret **sorted = calloc(b->c.secret_count + 1, sizeof(*sorted));
	unsigned errors = b->r->errors;
	int rc = -1;

	if (!agent || !sorted)
		goto out;
	for (size_t i = 0; i < b->c.secret_count; i++)
		sorted[i] = &b->c.secret[i];
	if (b->c.secret_count)
		qsort(sorted, b->c.secret_count, sizeof(*sorted), by_secret_name);
	for (size_t i = 0; i < b->c.agent_count; i++)
		if (fill_agent(b, &b->c.agent[i], sorted, &agent[i]) < 0)
			goto out;
	if (b->c.agent_count)
		qsort(agent, b->c.agent_count, sizeof(*agent), by_agent_name);
	b->p->agent = agent;
	b->p->agents = b->c.agent_count;
	b->p->agents_given = b->c.agents_given;
	rc = b->r->errors == errors ? 0 : -1;
out:
	free(sorted);
	return rc;
}
