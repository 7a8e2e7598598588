/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "policy_internal.h"

static void set_bit(uint8_t *bitmap, size_t i)
{
	bitmap[i >> 3] |= (uint8_t)(1u << (i & 7));
}

static const char *port_of(const char *name)
{
	return strrchr(name, ':');
}

/* Does the pattern, as canonical text, name this host or cover it? A pattern without a port means both 443 and plain http on 80. */
static bool names_host(const struct config_text *pattern, const struct policy_host *h, bool tls_only)
{
	const char *p = pattern->text, *name = h->name, *p_port = port_of(p), *port = port_of(name);

	if (h->http && (tls_only || (pattern->bare ? strcmp(port, ":80") != 0 : strcmp(port, p_port) != 0)))
		return false;
	if (!h->http && strcmp(port, p_port) != 0)
		return false;
	if (p_port - p == port - name && memcmp(p, name, (size_t)(port - name)) == 0)
		return true;
	if (p[0] != '*' || name[0] == '*')
		return false;
	name = strchr(name, '.');
	return name && p_port - (p + 1) == port - name && memcmp(p + 1, name, (size_t)(port - name)) == 0;
}

static bool mark_hosts(const struct policy_build *b, const struct config_text *pattern, bool tls_only, uint8_t *hosts)
{
	bool any = false;

	for (size_t i = 0; i < b->p->hosts; i++)
		if (names_host(pattern, &b->p->host[i].public, tls_only)) {
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
