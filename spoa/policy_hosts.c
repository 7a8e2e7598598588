/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "policy_internal.h"

/* A host in the making. The same name may stand there twice: with TLS and with plain http. */
struct draft {
	const char *name; /* canonical */
	bool http;
	unsigned line;
	const struct config_host *settings; /* of hosts:, or NULL */
};

struct drafts {
	struct draft *at;
	size_t count;
};


static int by_name(const void *a, const void *b)
{
	const struct draft *x = a, *y = b;
	int d = policy_host_compare(x->name, x->http, y->name, y->http);

	if (d)
		return d;
	if (!x->settings != !y->settings)
		return x->settings ? -1 : 1;
	return (x->line > y->line) - (x->line < y->line);
}

static struct draft *find_draft(const struct drafts *d, const char *name, bool http)
{
	size_t low = 0, high = d->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = policy_host_compare(name, http, d->at[middle].name, d->at[middle].http);

		if (c == 0)
			return &d->at[middle];
		if (c < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* "*.rest:port" for a name with a rest. */
static bool wildcard_of(const char *name, struct hostname *out)
{
	struct hostname h;
	const char *why;

	return hostname_parse(&h, span_str(name), HOSTNAME_TLS_PORT, true, &why) == 0 && hostname_wildcard(&h, out);
}

static struct draft *find_covering(const struct drafts *d, const char *name, bool http)
{
	struct hostname wildcard;

	return wildcard_of(name, &wildcard) ? find_draft(d, wildcard.text, http) : NULL;
}

static void sort_unique(struct drafts *d)
{
	size_t kept = 0;

	if (d->count)
		qsort(d->at, d->count, sizeof(*d->at), by_name);
	for (size_t i = 0; i < d->count; i++)
		if (kept == 0 || policy_host_compare(d->at[kept - 1].name, d->at[kept - 1].http, d->at[i].name, d->at[i].http) != 0)
			d->at[kept++] = d->at[i];
	d->count = kept;
}

static const char *http_name(struct policy_build *b, const struct config_host *h)
{
	const char *colon = strrchr(h->name.text, ':');
	char *name;

	if (!h->name.bare)
		return h->name.text;
	name = tree_alloc(b->c.tree, strlen(h->name.text) + 1);
	if (name) {
		memcpy(name, h->name.text, (size_t)(colon - h->name.text));
		strcpy(name + (colon - h->name.text), ":80");
	}
	return name;
}

/* What hosts: names, in order. */
static int add_hosts(struct policy_build *b, struct drafts *d)
{
	for (size_t i = 0; i < b->c.host_count; i++) {
		const struct config_host *h = &b->c.host[i];

		if (!h->http_allowed || h->name.bare)
			d->at[d->count++] = (struct draft){h->name.text, false, h->name.line, h};
		if (h->http_allowed) {
			d->at[d->count] = (struct draft){http_name(b, h), true, h->name.line, h};
			if (!d->at[d->count++].name) {
				report_error(b->r, b->o->file, 0, "out of memory");
				return -1;
			}
		}
	}
	if (d->count)
		qsort(d->at, d->count, sizeof(*d->at), by_name);
	for (size_t i = 1; i < d->count; i++)
		if (policy_host_compare(d->at[i - 1].name, d->at[i - 1].http, d->at[i].name, d->at[i].http) == 0)
			report_error(b->r, b->o->file, d->at[i].line, "hosts: %s is named twice, the first time on line %u: keep one", d->at[i].name,
			             d->at[i - 1].line);
	return 0;
}

static void add_secret_hosts(struct policy_build *b, struct drafts *d, const struct drafts *named)
{
	for (size_t i = 0; i < b->c.secret_count; i++) {
		const struct config_list *hosts = &b->c.secret[i].hosts;

		for (size_t k = 0; k < hosts->count; k++) {
			const char *name = hosts->item[k].text;

			if (!find_draft(named, name, false) && find_draft(named, name, true))
				report_error(b->r, b->o->file, hosts->item[k].line,
				             "%s: %s is plain http (`http: allow`), over which no secret is sent: name the port of its TLS",
				             b->c.secret[i].name.text, name);
			d->at[d->count++] = (struct draft){name, false, hosts->item[k].line, NULL};
		}
	}
}

/* A host that an agent names on its own account gets an entry of its own, so that agents are bits over entries. */
static void add_agent_hosts(struct policy_build *b, struct drafts *d, const struct drafts *named)
{
	for (size_t i = 0; i < b->c.agent_count; i++) {
		const struct config_list *hosts = &b->c.agent[i].hosts;

		for (size_t k = 0; k < hosts->count; k++)
			if (hosts->item[k].text[0] != '*' && find_covering(named, hosts->item[k].text, false))
				d->at[d->count++] = (struct draft){hosts->item[k].text, false, hosts->item[k].line, NULL};
	}
}

/* Own settings, else those of the wildcard of hosts: that covers it. */
static void settle(const struct drafts *named, struct drafts *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct draft *d = &all->at[i], *from;

		if (d->settings)
			continue;
		from = find_draft(named, d->name, d->http);
		if (!from)
			from = find_covering(named, d->name, d->http);
		if (from)
			d->settings = from->settings;
	}
}

static size_t most_drafts(const struct config *c)
{
	size_t n = 2 * c->host_count + 1;

	for (size_t i = 0; i < c->secret_count; i++)
		n += c->secret[i].hosts.count;
	for (size_t i = 0; i < c->agent_count; i++)
		n += c->agent[i].hosts.count;
	return n;
}

/* --- which secrets are bound where --- */

static int bind_secrets(struct policy_build *b, struct policy_host_entry *host)
{
	size_t total = 0;
	uint32_t *room;

	for (size_t i = 0; i < b->c.secret_count; i++) {
		const struct config_list *hosts = &b->c.secret[i].hosts;

		for (size_t k = 0; b->entry_of[i] != POLICY_NONE && k < hosts->count; k++, total++)
			host[policy_host_index(b->p, hosts->item[k].text, false)].bound_count++;
	}
	room = policy_build_alloc(b, (total + 1) * sizeof(*room));
	if (!room)
		return -1;
	for (size_t i = 0; i < b->p->hosts; i++) {
		host[i].bound = room;
		room += host[i].bound_count;
		host[i].bound_count = 0;
	}
	for (size_t i = 0; i < b->c.secret_count; i++) {
		const struct config_list *hosts = &b->c.secret[i].hosts;

		for (size_t k = 0; b->entry_of[i] != POLICY_NONE && k < hosts->count; k++) {
			struct policy_host_entry *h = &host[policy_host_index(b->p, hosts->item[k].text, false)];

			((uint32_t *)h->bound)[h->bound_count++] = b->entry_of[i];
		}
	}
	return 0;
}

/* By what is written, also of secrets that were left out: HAProxy's machine, which has no values, must judge alike. */
static int check_ranges(struct policy_build *b)
{
	bool *named = calloc(b->p->hosts + 1, sizeof(*named));

	if (!named) {
		report_error(b->r, b->o->file, 0, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < b->c.secret_count; i++)
		for (size_t k = 0; k < b->c.secret[i].hosts.count; k++)
			named[policy_host_index(b->p, b->c.secret[i].hosts.item[k].text, false)] = true;
	for (size_t i = 0; i < b->p->hosts; i++) {
		const struct policy_host_entry *h = &b->p->host[i];

		if (h->public.ranges && !h->public.http && (named[i] || (h->covering != POLICY_NONE && named[h->covering])))
			report_error(b->r, b->o->file, h->public.line,
			             "%s: `ranges: allow` lets a part of a response cut a secret in two, and secrets are bound to this host: take it out%s",
			             h->public.name, h->public.name[0] == '*' ? "" : ", or give the host settings of its own under hosts:");
	}
	free(named);
	return 0;
}

static int fill_host(struct policy_build *b, struct policy_host_entry *h, const struct draft *d)
{
	const struct config_host *s = d->settings;
	const struct config_list none = {0};

	h->public = (struct policy_host){.name = policy_build_text(b, d->name), .http = d->http, .line = d->line};
	h->covering = POLICY_NONE;
	if (s) {
		h->public.ranges = s->ranges_allowed;
		h->require = s->require;
		if (s->connect.text)
			h->public.connect = policy_build_text(b, s->connect.text);
		if (s->ca.text && !d->http)
			h->public.ca = policy_build_text(b, policy_build_path(b, s->ca.text));
		if ((s->connect.text && !h->public.connect) || (s->ca.text && !d->http && !h->public.ca))
			return -1;
	}
	return h->public.name ? policy_build_rule(b, s ? &s->methods : &none, s ? &s->paths : &none, &h->rule) : -1;
}

int policy_build_hosts(struct policy_build *b)
{
	size_t most = most_drafts(&b->c);
	struct drafts named = {calloc(2 * b->c.host_count + 1, sizeof(struct draft)), 0}, all = {calloc(most, sizeof(struct draft)), 0};
	unsigned errors = b->r->errors;
	struct policy_host_entry *host;
	int rc = -1;

	if (!named.at || !all.at) {
		report_error(b->r, b->o->file, 0, "out of memory");
		goto out;
	}
	if (add_hosts(b, &named) < 0)
		goto out;
	memcpy(all.at, named.at, named.count * sizeof(*named.at));
	all.count = named.count;
	add_secret_hosts(b, &all, &named);
	add_agent_hosts(b, &all, &named);
	sort_unique(&all);
	settle(&named, &all);
	host = policy_build_alloc(b, (all.count + 1) * sizeof(*host));
	if (!host || b->r->errors != errors)
		goto out;
	b->p->host = host;
	b->p->hosts = all.count;
	for (size_t i = 0; i < all.count; i++)
		if (fill_host(b, &host[i], &all.at[i]) < 0)
			goto out;
	for (size_t i = 0; i < all.count; i++) {
		struct hostname wildcard;

		if (!host[i].public.http && wildcard_of(host[i].public.name, &wildcard))
			host[i].covering = policy_host_index(b->p, wildcard.text, false);
	}
	if (bind_secrets(b, host) < 0 || check_ranges(b) < 0)
		goto out;
	rc = b->r->errors == errors ? 0 : -1;
out:
	free(named.at);
	free(all.at);
	return rc;
}
