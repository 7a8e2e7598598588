/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"

#include <stdlib.h>
#include <string.h>

#include "policy_internal.h"

/* --- finding hosts and agents --- */

int policy_host_compare(const char *a, bool a_http, const char *b, bool b_http)
{
	int d = strcmp(a, b);

	return d ? d : a_http - b_http;
}

/* The first entry that is not before (name, http). */
static size_t lower_bound(const struct policy *p, const char *name, bool http)
{
	size_t low = 0, high = p->hosts;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct policy_host *h = &p->host[middle].public;

		if (policy_host_compare(h->name, h->http, name, http) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t policy_host_index(const struct policy *p, const char *name, bool http)
{
	size_t i = lower_bound(p, name, http);

	return i < p->hosts && strcmp(p->host[i].public.name, name) == 0 && p->host[i].public.http == http ? (uint32_t)i : POLICY_NONE;
}

static bool canonical(struct hostname *h, struct span host)
{
	const char *why;

	return hostname_parse(h, host, HOSTNAME_TLS_PORT, false, &why) == 0;
}

/* Exact before wildcard. */
static uint32_t find_host(const struct policy *p, const struct hostname *h, bool plain)
{
	uint32_t i = policy_host_index(p, h->text, plain);
	struct hostname wildcard;

	return i == POLICY_NONE && hostname_wildcard(h, &wildcard) ? policy_host_index(p, wildcard.text, plain) : i;
}

static bool has_name(const struct policy *p, const struct hostname *h)
{
	char name[HOSTNAME_MAX];
	size_t i;

	memcpy(name, h->text, h->name_length);
	name[h->name_length] = ':';
	name[h->name_length + 1] = 0;
	i = lower_bound(p, name, false);
	return i < p->hosts && strncmp(p->host[i].public.name, name, h->name_length + 1) == 0;
}

/* Is the host allowed on another port, or with the other scheme? */
static bool allowed_elsewhere(const struct policy *p, const struct hostname *h)
{
	struct hostname wildcard;

	return has_name(p, h) || (hostname_wildcard(h, &wildcard) && has_name(p, &wildcard));
}

static int by_name(const void *key, const void *element)
{
	const struct span *name = key;
	const struct policy_agent *a = element;
	size_t len = strlen(a->name);
	int d = memcmp(name->p, a->name, name->len < len ? name->len : len);

	return d ? d : (name->len > len) - (name->len < len);
}

static uint32_t find_agent(const struct policy *p, struct span cn)
{
	const struct policy_agent *a = NULL;

	if (p->agents && cn.len)
		a = bsearch(&cn, p->agent, p->agents, sizeof(*a), by_name);
	return a ? (uint32_t)(a - p->agent) : POLICY_NONE;
}

/* --- verdicts --- */

static bool is_canary(const struct policy *p, struct span agent, struct span host)
{
	return p->canary != POLICY_NONE && span_is(agent, POLICY_CANARY_AGENT) && span_is(host, POLICY_CANARY_HOST);
}

static enum refusal_code judge_host(const struct policy *p, struct span agent, const struct hostname *h, bool plain, uint32_t *host)
{
	uint32_t who = find_agent(p, agent);

	*host = POLICY_NONE;
	if (p->agents_given && who == POLICY_NONE)
		return REFUSAL_AGENT_UNKNOWN;
	*host = find_host(p, h, plain);
	if (*host == POLICY_NONE)
		return allowed_elsewhere(p, h) ? REFUSAL_PORT_DENIED : REFUSAL_HOST_DENIED;
	if (who != POLICY_NONE && !p->agent[who].all_hosts && !policy_bit(p->agent[who].hosts, *host))
		return REFUSAL_HOST_DENIED;
	return REFUSAL_NONE;
}

enum refusal_code policy_connect(const struct policy *p, struct span agent, struct span host)
{
	struct hostname h;
	uint32_t i;

	if (p->agents_given && find_agent(p, agent) == POLICY_NONE)
		return REFUSAL_AGENT_UNKNOWN;
	return canonical(&h, host) ? judge_host(p, agent, &h, false, &i) : REFUSAL_HOST_DENIED;
}

enum refusal_code policy_request(const struct policy *p, const struct policy_request *q)
{
	struct policy_target t;
	enum refusal_code code;
	struct hostname h;
	uint32_t i;

	if (is_canary(p, q->agent, q->host))
		return q->plain ? REFUSAL_HOST_DENIED : REFUSAL_NONE;
	if (p->agents_given && find_agent(p, q->agent) == POLICY_NONE)
		return REFUSAL_AGENT_UNKNOWN;
	if (!canonical(&h, q->host))
		return REFUSAL_HOST_DENIED;
	code = judge_host(p, q->agent, &h, q->plain, &i);
	if (code != REFUSAL_NONE)
		return code;
	if (span_is(q->method, "TRACE"))
		return REFUSAL_TRACE_REFUSED;
	policy_target_init(&t, q->method, q->path);
	if (t.path == PATH_CLIMBS)
		return REFUSAL_PATH_DENIED;
	switch (policy_rule_match(&p->host[i].rule, &t)) {
	case POLICY_BAD_METHOD: return REFUSAL_METHOD_DENIED;
	case POLICY_BAD_PATH: return REFUSAL_PATH_DENIED;
	case POLICY_KEEPS: break;
	}
	return REFUSAL_NONE;
}

static const struct policy_host_entry *entry_of(const struct policy *p, struct span host, bool plain)
{
	struct hostname h;
	uint32_t i = canonical(&h, host) ? find_host(p, &h, plain) : POLICY_NONE;

	return i == POLICY_NONE ? NULL : &p->host[i];
}

int policy_rule(const struct policy *p, const struct policy_request *q, enum refusal_code code, struct buf *out)
{
	const struct policy_host_entry *h = entry_of(p, q->host, q->plain);
	const char *key = code == REFUSAL_METHOD_DENIED ? "methods" : code == REFUSAL_CREDENTIAL_REQUIRED ? "require" : "paths";
	uint32_t agent = find_agent(p, q->agent);
	unsigned line;

	if (code == REFUSAL_AGENT_UNKNOWN)
		return buf_printf(out, "agents");
	if (code == REFUSAL_HOST_DENIED && h && agent != POLICY_NONE)
		return buf_printf(out, "agents: %s: hosts (line %u)", p->agent[agent].name, p->agent[agent].line);
	if (code == REFUSAL_OVERLOADED && agent != POLICY_NONE)
		return buf_printf(out, "agents: %s: limits (line %u)", p->agent[agent].name, p->agent[agent].line);
	if (code == REFUSAL_HOST_DENIED || code == REFUSAL_PORT_DENIED)
		return buf_printf(out, "hosts");
	if (!h || (code != REFUSAL_METHOD_DENIED && code != REFUSAL_PATH_DENIED && code != REFUSAL_CREDENTIAL_REQUIRED))
		return 0;
	line = code == REFUSAL_METHOD_DENIED ? h->rule.methods_line : code == REFUSAL_PATH_DENIED ? h->rule.paths_line : 0;
	if (code == REFUSAL_PATH_DENIED && !line)
		return buf_printf(out, "no `..` in a path");
	return buf_printf(out, "hosts: %s: %s (line %u)", h->public.name, key, line ? line : h->public.line);
}

bool policy_host_is_plain_sailing(const struct policy *p, struct span agent, struct span host)
{
	uint32_t who = find_agent(p, agent);

	if (is_canary(p, agent, host))
		return false;
	for (unsigned plain = 0; plain < 2; plain++) {
		const struct policy_host_entry *h = entry_of(p, host, plain);

		if (h && (h->rule.method_count || h->rule.path_count || h->require))
			return false;
	}
	return who == POLICY_NONE || (!p->agent[who].limits.streams && !p->agent[who].limits.requests_per_second);
}

bool policy_host_requires(const struct policy *p, struct span host)
{
	const struct policy_host_entry *tls = entry_of(p, host, false), *plain = entry_of(p, host, true);

	return (tls && tls->require) || (plain && plain->require);
}

bool policy_agent_may_use(const struct policy *p, struct span agent, unsigned entry)
{
	uint32_t who;

	if (entry >= p->entries)
		return false;
	if (entry == p->canary)
		return span_is(agent, POLICY_CANARY_AGENT);
	if (entry >= p->exported)
		return false;
	if (!p->agents_given)
		return true;
	who = find_agent(p, agent);
	return who != POLICY_NONE && policy_bit(p->agent[who].secrets, entry);
}

/* --- grants --- */

static bool has_entry(const uint32_t *bound, size_t count, uint32_t entry)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bound[middle] == entry)
			return true;
		if (bound[middle] < entry)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool is_bound(const struct policy *p, uint32_t host, uint32_t entry)
{
	const struct policy_host_entry *h = &p->host[host];

	if (has_entry(h->bound, h->bound_count, entry))
		return true;
	return h->covering != POLICY_NONE && has_entry(p->host[h->covering].bound, p->host[h->covering].bound_count, entry);
}

static void judge_rules(const struct policy *p, const struct policy_host_entry *h, const struct policy_target *t, struct policy_grant *g)
{
	for (size_t i = 0; i < h->bound_count; i++) {
		uint32_t rule = p->entry[h->bound[i]].rule;

		if (!policy_bit(g->rules, rule) && policy_rule_match(&p->rule[rule], t) == POLICY_KEEPS)
			g->rules[rule >> 3] |= (uint8_t)(1u << (rule & 7));
	}
}

static void make_grant(const struct policy *p, const struct policy_request *q, struct policy_grant *g)
{
	struct policy_target t;
	struct hostname h;

	*g = (struct policy_grant){.host = POLICY_NONE, .agent = find_agent(p, q->agent)};
	if (is_canary(p, q->agent, q->host))
		g->host = POLICY_CANARY;
	else if (!q->plain && (!p->agents_given || g->agent != POLICY_NONE) && canonical(&h, q->host))
		g->host = find_host(p, &h, false);
	if (g->host == POLICY_NONE || g->host == POLICY_CANARY)
		return;
	policy_target_init(&t, q->method, q->path);
	judge_rules(p, &p->host[g->host], &t, g);
	if (p->host[g->host].covering != POLICY_NONE)
		judge_rules(p, &p->host[p->host[g->host].covering], &t, g);
}

/* u32 host, u32 agent, then the bitmap without the zeros at its end */
int policy_grant_encode(const struct policy *p, const struct policy_request *q, struct buf *out)
{
	struct policy_grant g;
	size_t n = sizeof(g.rules), before = out->len;

	make_grant(p, q, &g);
	while (n && !g.rules[n - 1])
		n--;
	if (buf_u32(out, g.host) == 0 && buf_u32(out, g.agent) == 0 && buf_append(out, g.rules, n) == 0)
		return 0;
	out->len = before;
	return -1;
}

static uint32_t read_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

const struct policy_grant *policy_grant_decode(const struct policy *p, struct span encoded, struct policy_grant *room)
{
	if (encoded.len < 8 || encoded.len - 8 > sizeof(room->rules))
		return NULL;
	memset(room, 0, sizeof(*room));
	room->host = read_u32(encoded.p);
	room->agent = read_u32(encoded.p + 4);
	memcpy(room->rules, encoded.p + 8, encoded.len - 8);
	if (room->host != POLICY_NONE && !(room->host == POLICY_CANARY && p->canary != POLICY_NONE) && room->host >= p->hosts)
		return NULL;
	if (room->agent == POLICY_NONE ? p->agents_given && room->host != POLICY_NONE && room->host != POLICY_CANARY : room->agent >= p->agents)
		return NULL;
	return room;
}

bool policy_grants(const struct policy *p, const struct policy_grant *g, unsigned entry, enum policy_inject place)
{
	if (entry >= p->entries || !(p->entry[entry].places & place) || g->host == POLICY_NONE)
		return false;
	if (entry == p->canary || g->host == POLICY_CANARY)
		return entry == p->canary && g->host == POLICY_CANARY;
	if (p->agents_given && (g->agent == POLICY_NONE || !policy_bit(p->agent[g->agent].secrets, entry)))
		return false;
	return policy_bit(g->rules, p->entry[entry].rule) && is_bound(p, g->host, entry);
}

enum policy_bar policy_secret_bar(const struct policy *p, const struct policy_request *q, unsigned entry)
{
	struct policy_grant g;
	struct hostname h;
	uint32_t host;

	if (!policy_agent_may_use(p, q->agent, entry))
		return BAR_AGENT;
	if (entry == p->canary)
		return is_canary(p, q->agent, q->host) ? BAR_NONE : BAR_HOST;
	host = canonical(&h, q->host) ? find_host(p, &h, false) : POLICY_NONE;
	if (host == POLICY_NONE || !is_bound(p, host, entry))
		return q->plain ? BAR_PLAIN : BAR_HOST;
	if (q->plain)
		return BAR_PLAIN;
	make_grant(p, q, &g);
	return policy_bit(g.rules, p->entry[entry].rule) ? BAR_NONE : BAR_METHOD_OR_PATH;
}

bool policy_request_length_changes(const struct policy *p, const struct policy_grant *g)
{
	const struct policy_host_entry *h = g->host < p->hosts ? &p->host[g->host] : NULL;

	if (!h || !p->response_length_changes)
		return false;
	for (unsigned covering = 0; h && covering < 2; covering++) {
		for (size_t i = 0; i < h->bound_count; i++)
			if (p->entry[h->bound[i]].given_differs && policy_grants(p, g, h->bound[i], INJECT_BODY))
				return true;
		h = h->covering == POLICY_NONE ? NULL : &p->host[h->covering];
	}
	return false;
}

/* --- headers --- */

static int by_text(const void *key, const void *element)
{
	const struct span *name = key;
	const char *text = *(const char *const *)element;
	size_t len = strlen(text);
	int d = memcmp(name->p, text, name->len < len ? name->len : len);

	return d ? d : (name->len > len) - (name->len < len);
}

static bool is_listed(const char *const *list, size_t count, struct span name)
{
	return count && name.len && bsearch(&name, list, count, sizeof(*list), by_text);
}

bool policy_is_credential_header(const struct policy *p, struct span lower_name)
{
	return is_listed(p->credential, p->credentials, lower_name);
}

bool policy_drops_response_header(const struct policy *p, struct span lower_name)
{
	return is_listed(p->dropped, p->dropped_count, lower_name);
}

bool policy_secret_takes_header(const struct policy *p, unsigned entry, struct span lower_name)
{
	static const char *const built_in[] = {"api-key", "authorization", "private-token", "x-api-key", "x-goog-api-key"};
	const struct policy_entry *e;

	if (entry >= p->entries || !(p->entry[entry].places & INJECT_HEADER))
		return false;
	e = &p->entry[entry];
	for (size_t i = 0; i < e->header_count; i++)
		if (span_is(lower_name, e->header[i]))
			return true;
	return is_listed(built_in, sizeof(built_in) / sizeof(built_in[0]), lower_name);
}

/* --- what others ask about hosts and agents --- */

const struct policy_host *policy_host_find(const struct policy *p, struct span host, bool plain)
{
	const struct policy_host_entry *h = entry_of(p, host, plain);

	return h ? &h->public : NULL;
}

size_t policy_agent_count(const struct policy *p)
{
	return p->agents;
}

const char *policy_agent_name(const struct policy *p, size_t i)
{
	return p->agent[i].name;
}

struct policy_limits policy_agent_limits(const struct policy *p, struct span agent)
{
	uint32_t who = find_agent(p, agent);

	return who == POLICY_NONE ? (struct policy_limits){0, 0} : p->agent[who].limits;
}
