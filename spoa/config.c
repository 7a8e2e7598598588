/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"

enum { GRACE_DEFAULT = 3600, GRACE_MAX = 30 * 86400, COUNT_MAX = 1000000 };

enum type {
	TEXT,        /* struct config_text; `check` */
	LIST,        /* struct config_list of such */
	HOSTS,       /* struct config_list of canonical names; second: port 80 is allowed */
	HEADERS,     /* struct config_list of lower-case names */
	PLACES,      /* struct config_list and unsigned at `second` */
	BOOLEAN,     /* bool */
	WORD,        /* bool: words[0] is the default, words[1] sets it; struct config_text with the line at `second` unless 0 */
	SECONDS,     /* unsigned */
	COUNT,       /* unsigned */
	LIMITS,      /* a map of COUNTs */
	NAMES,       /* struct config_list, or the word `all`: bool at `second` */
	SECRETS, HOST_MAP, AGENTS,
	LATER        /* has a meaning in a later version; words[0] is what this one does */
};

struct field {
	const char *key;
	enum type type;
	size_t offset;
	const char *(*check)(const char *text);
	const char *words[2];
	size_t second;
};

struct section {
	const char *name; /* as in config_key() */
	const char *what; /* in messages */
	const struct field *field;
	size_t count;
};

#define AT(type, member) offsetof(struct type, member)
#define SECTION(name, what, fields) {name, what, fields, sizeof(fields) / sizeof(fields[0])}

static const struct field policy_fields[] = {
	{"secrets", SECRETS, 0, NULL, {0}, 0},
	{"hosts", HOST_MAP, 0, NULL, {0}, 0},
	{"agents", AGENTS, 0, NULL, {0}, 0},
	{"audit", WORD, AT(config, audit_best_effort), NULL, {"required", "best-effort"}, 0},
	{"tripwire", WORD, AT(config, tripwire_suspends), NULL, {"block", "suspend"}, 0},
	{"drop_response_headers", HEADERS, AT(config, drop_response_headers), config_check_dropped_header, {0}, 0},
	{"grace", SECONDS, AT(config, grace_seconds), NULL, {0}, 0},
	{"prefilter", WORD, AT(config, no_prefilter), NULL, {"on", "off"}, 0},
	{"isolation", WORD, AT(config, isolation_strict), NULL, {"safe", "strict"}, 0},
	{"mode", LATER, 0, NULL, {NULL}, 0},
};

static const struct field secret_fields[] = {
	{"file", TEXT, AT(config_secret, file), config_check_file, {0}, 0},
	{"env", TEXT, AT(config_secret, env), config_check_variable, {0}, 0},
	{"hosts", HOSTS, AT(config_secret, hosts), NULL, {0}, 0},
	{"inject", PLACES, AT(config_secret, inject), NULL, {0}, AT(config_secret, places)},
	{"headers", HEADERS, AT(config_secret, headers), config_check_credential_header, {0}, 0},
	{"methods", LIST, AT(config_secret, methods), config_check_method, {0}, 0},
	{"paths", LIST, AT(config_secret, paths), config_check_path, {0}, 0},
	{"prefix", TEXT, AT(config_secret, prefix), config_check_prefix, {0}, 0},
	{"placeholder", TEXT, AT(config_secret, placeholder), config_check_placeholder, {0}, 0},
	{"allow_short", BOOLEAN, AT(config_secret, allow_short), NULL, {0}, 0},
};

static const struct field host_fields[] = {
	{"connect", TEXT, AT(config_host, connect), config_check_address, {0}, 0},
	{"ca", TEXT, AT(config_host, ca), config_check_file, {0}, 0},
	{"methods", LIST, AT(config_host, methods), config_check_method, {0}, 0},
	{"paths", LIST, AT(config_host, paths), config_check_path, {0}, 0},
	{"require", BOOLEAN, AT(config_host, require), NULL, {0}, 0},
	{"websocket", LATER, 0, NULL, {"refuse"}, 0},
	{"ranges", WORD, AT(config_host, ranges_allowed), NULL, {"refuse", "allow"}, AT(config_host, ranges)},
	{"http", WORD, AT(config_host, http_allowed), NULL, {"refuse", "allow"}, AT(config_host, http)},
};

static const struct field agent_fields[] = {
	{"secrets", NAMES, AT(config_agent, secrets), NULL, {0}, AT(config_agent, all_secrets)},
	{"hosts", HOSTS, AT(config_agent, hosts), NULL, {0}, 1},
	{"limits", LIMITS, 0, NULL, {0}, 0},
};

static const struct field limit_fields[] = {
	{"streams", COUNT, AT(config_agent, streams), NULL, {0}, 0},
	{"requests_per_second", COUNT, AT(config_agent, requests_per_second), NULL, {0}, 0},
};

static const struct section policy_section = SECTION("policy", "the policy", policy_fields);
static const struct section secret_section = SECTION("secrets", "a secret", secret_fields);
static const struct section host_section = SECTION("hosts", "a host", host_fields);
static const struct section agent_section = SECTION("agents", "an agent", agent_fields);
static const struct section limit_section = SECTION("limits", "limits", limit_fields);

struct reader {
	struct config *c;
	const char *file;
	struct report *r;
};

static void *need(struct reader *rd, size_t size)
{
	void *p = tree_alloc(rd->c->tree, size);

	if (!p)
		report_error(rd->r, rd->file, 0, "out of memory");
	return p;
}

static bool is_kind(struct reader *rd, const struct node *n, enum node_kind kind, const char *key)
{
	static const char *const names[] = {"one value", "a list, [a, b]", "a mapping, {key: value}"};

	if (n->kind == kind)
		return true;
	report_error(rd->r, rd->file, n->line, "%s: must be %s, not %s", key, names[kind], names[n->kind]);
	return false;
}

static bool is_string(struct reader *rd, unsigned line, const char *text, bool plain, const char *key)
{
	const char *type = tree_plain_type(text, plain);

	if (!type)
		return true;
	if (strcmp(type, "empty") == 0)
		report_error(rd->r, rd->file, line, "%s: has no value: give one, or take the key out", key);
	else
		report_error(rd->r, rd->file, line, "%s: %s is %s where a string stands: write \"%s\"", key, text, type, text);
	return false;
}

static void read_text(struct reader *rd, const struct node *n, const struct field *f, struct config_text *out)
{
	const char *why;

	if (!is_kind(rd, n, NODE_SCALAR, f->key) || !is_string(rd, n->line, n->text, n->plain, f->key))
		return;
	why = f->check ? f->check(n->text) : NULL;
	if (why && f->check == config_check_variable)
		report_error(rd->r, rd->file, n->line, "%s: %s", f->key, why); /* it may be the value itself, put in the wrong place */
	else if (why)
		report_error(rd->r, rd->file, n->line, "%s: \"%s\": %s", f->key, n->text, why);
	*out = (struct config_text){n->text, n->line, false};
}

static void read_host(struct reader *rd, const char *text, unsigned line, const char *key, bool for_http, struct config_text *out)
{
	struct hostname h;
	const char *why;
	char *copy;

	if (hostname_parse(&h, span_str(text), HOSTNAME_TLS_PORT, true, &why) < 0) {
		report_error(rd->r, rd->file, line, "%s: \"%s\": %s", key, text, why);
		return;
	}
	if (h.port == HOSTNAME_HTTP_PORT && !for_http) {
		report_error(rd->r, rd->file, line, "%s: \"%s\": port 80 is plain http, over which no secret is sent: name the port of its TLS", key,
		             text);
		return;
	}
	copy = need(rd, strlen(h.text) + 1);
	if (!copy)
		return;
	strcpy(copy, h.text);
	*out = (struct config_text){copy, line, !h.port_given};
}

static void read_header(struct reader *rd, struct config_text *item, const struct field *f)
{
	char *lower = need(rd, strlen(item->text) + 1);
	const char *why;

	if (!lower)
		return;
	for (size_t i = 0; item->text[i]; i++)
		lower[i] = (char)tolower((unsigned char)item->text[i]);
	why = f->check(lower);
	if (why)
		report_error(rd->r, rd->file, item->line, "%s: \"%s\": %s", f->key, item->text, why);
	item->text = lower;
}

static void read_list(struct reader *rd, const struct node *n, const struct field *f, struct config_list *out)
{
	const struct field unchecked = {.key = f->key};
	size_t count = 0;

	if (!is_kind(rd, n, NODE_LIST, f->key))
		return;
	out->line = n->line;
	for (const struct node *c = n->first; c; c = c->next)
		count++;
	out->item = need(rd, (count + 1) * sizeof(*out->item));
	if (!out->item)
		return;
	for (const struct node *c = n->first; c; c = c->next) {
		struct config_text *item = &out->item[out->count];

		read_text(rd, c, f->type == LIST || f->type == NAMES ? f : &unchecked, item);
		if (!item->text)
			continue;
		if (f->type == HOSTS)
			read_host(rd, c->text, c->line, f->key, f->second, item);
		else if (f->type == HEADERS)
			read_header(rd, item, f);
		for (size_t i = 0; i < out->count; i++)
			if (strcmp(out->item[i].text, item->text) == 0)
				report_error(rd->r, rd->file, item->line, "%s: \"%s\" stands here twice: keep one", f->key, c->text);
		out->count++;
	}
	if (f->type == LIST && !n->first)
		report_error(rd->r, rd->file, n->line, "%s: an empty list allows nothing: name some, or take the key out to allow all", f->key);
}

static void read_places(struct reader *rd, const struct node *n, const struct field *f, struct config_list *list, unsigned *places)
{
	static const char *const words[] = {"header", "query", "path", "body"};

	*places = 0;
	read_list(rd, n, f, list);
	for (size_t i = 0; i < list->count; i++) {
		size_t w = 0;

		while (w < 4 && strcmp(words[w], list->item[i].text) != 0)
			w++;
		if (w == 4)
			report_error(rd->r, rd->file, list->item[i].line, "inject: \"%s\" is no place: header, query, path and body are", list->item[i].text);
		*places |= 1u << w;
	}
	if (list->line && !list->count)
		report_error(rd->r, rd->file, n->line, "inject: an empty list: name header, query, path or body, or take the key out");
}

static void read_names(struct reader *rd, const struct node *n, const struct field *f, struct config_list *list, bool *all)
{
	*all = n->kind == NODE_SCALAR && strcmp(n->text, "all") == 0;
	if (*all)
		list->line = n->line;
	else
		read_list(rd, n, f, list);
}

static void read_boolean(struct reader *rd, const struct node *n, const struct field *f, bool *out)
{
	if (!is_kind(rd, n, NODE_SCALAR, f->key))
		return;
	if (n->plain && strcmp(n->text, "true") == 0)
		*out = true;
	else if (n->plain && strcmp(n->text, "false") == 0)
		*out = false;
	else
		report_error(rd->r, rd->file, n->line, "%s: \"%s\" is neither true nor false", f->key, n->text);
}

static void read_word(struct reader *rd, const struct node *n, const struct field *f, bool *out, struct config_text *where)
{
	if (!is_kind(rd, n, NODE_SCALAR, f->key))
		return;
	*out = strcmp(n->text, f->words[1]) == 0;
	if (!*out && strcmp(n->text, f->words[0]) != 0)
		report_error(rd->r, rd->file, n->line, "%s: \"%s\" is not known: it is %s or %s", f->key, n->text, f->words[0], f->words[1]);
	if (where)
		*where = (struct config_text){n->text, n->line, false};
}

static void read_seconds(struct reader *rd, const struct node *n, const struct field *f, unsigned *out)
{
	static const struct { char unit; unsigned seconds; } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {0, 1}};
	char *end;

	if (!is_kind(rd, n, NODE_SCALAR, f->key))
		return;
	if (isdigit((unsigned char)n->text[0])) {
		unsigned long long v = strtoull(n->text, &end, 10);

		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (*end == units[i].unit && (!*end || !end[1]) && v <= GRACE_MAX / units[i].seconds) {
				*out = (unsigned)v * units[i].seconds;
				return;
			}
	}
	report_error(rd->r, rd->file, n->line, "%s: \"%s\" is no time: write a number with s, m, h or d, as in 90s or 1h, at most 30d", f->key, n->text);
}

static void read_count(struct reader *rd, const struct node *n, const struct field *f, unsigned *out)
{
	unsigned long v = 0;
	char *end = NULL;

	if (!is_kind(rd, n, NODE_SCALAR, f->key))
		return;
	if (n->plain && isdigit((unsigned char)n->text[0]))
		v = strtoul(n->text, &end, 10);
	if (!end || *end || v < 1 || v > COUNT_MAX)
		report_error(rd->r, rd->file, n->line, "%s: \"%s\" is no whole number from 1 to %d", f->key, n->text, COUNT_MAX);
	else
		*out = (unsigned)v;
}

static void read_later(struct reader *rd, const struct node *n, const struct field *f)
{
	const char *now = f->words[0];

	if (n->kind == NODE_SCALAR && now && strcmp(n->text, now) == 0)
		return;
	if (now)
		report_error(rd->r, rd->file, n->line, "%s: %s is not supported yet: write `%s: %s` or take the key out", f->key,
		             n->kind == NODE_SCALAR ? n->text : "this", f->key, now);
	else
		report_error(rd->r, rd->file, n->line, "%s: is not supported yet: take the key out", f->key);
}

static void read_map(struct reader *rd, const struct node *n, const struct section *s, void *into);
static void read_secrets(struct reader *rd, const struct node *n);
static void read_hosts(struct reader *rd, const struct node *n);
static void read_agents(struct reader *rd, const struct node *n);

static void read_field(struct reader *rd, const struct node *n, const struct field *f, void *into)
{
	void *at = (char *)into + f->offset, *second = (char *)into + f->second;

	switch (f->type) {
	case TEXT: read_text(rd, n, f, at); break;
	case LIST: case HOSTS: case HEADERS: read_list(rd, n, f, at); break;
	case PLACES: read_places(rd, n, f, at, second); break;
	case NAMES: read_names(rd, n, f, at, second); break;
	case BOOLEAN: read_boolean(rd, n, f, at); break;
	case WORD: read_word(rd, n, f, at, f->second ? second : NULL); break;
	case SECONDS: read_seconds(rd, n, f, at); break;
	case COUNT: read_count(rd, n, f, at); break;
	case LIMITS: read_map(rd, n, &limit_section, into); break;
	case SECRETS: read_secrets(rd, n); break;
	case HOST_MAP: read_hosts(rd, n); break;
	case AGENTS: read_agents(rd, n); break;
	case LATER: read_later(rd, n, f); break;
	}
}

static void unknown_key(struct reader *rd, const struct node *n, const struct section *s)
{
	const char *keys[16], *meant;
	char all[256] = "";

	for (size_t i = 0; i < s->count; i++) {
		keys[i] = s->field[i].key;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "", keys[i]);
	}
	meant = report_near_miss(n->key, keys, s->count);
	if (meant)
		report_error(rd->r, rd->file, n->key_line, "%s: is no key of %s: did you mean %s?", n->key, s->what, meant);
	else
		report_error(rd->r, rd->file, n->key_line, "%s: is no key of %s: it has %s", n->key, s->what, all);
}

static void read_map(struct reader *rd, const struct node *n, const struct section *s, void *into)
{
	if (!is_kind(rd, n, NODE_MAP, n->key ? n->key : s->what))
		return;
	for (const struct node *c = n->first; c; c = c->next) {
		const struct field *f = NULL;

		for (size_t i = 0; i < s->count && !f; i++)
			if (strcmp(s->field[i].key, c->key) == 0)
				f = &s->field[i];
		if (f)
			read_field(rd, c, f, into);
		else
			unknown_key(rd, c, s);
	}
}

/* The members of secrets:, hosts: and agents: have names of the user's. */
static void *begin_named(struct reader *rd, const struct node *n, size_t size, size_t *count)
{
	if (!is_kind(rd, n, NODE_MAP, n->key))
		return NULL;
	*count = 0;
	for (const struct node *c = n->first; c; c = c->next)
		++*count;
	return need(rd, (*count + 1) * size);
}

static bool is_name(struct reader *rd, const struct node *n, const char *section, const char *(*check)(const char *))
{
	const char *why;

	if (!is_string(rd, n->key_line, n->key, n->key_plain, section))
		return false;
	why = check ? check(n->key) : NULL;
	if (why)
		report_error(rd->r, rd->file, n->key_line, "%s: \"%s\": %s", section, n->key, why);
	return !why;
}

static void read_secrets(struct reader *rd, const struct node *n)
{
	struct config_secret *s = begin_named(rd, n, sizeof(*s), &rd->c->secret_count);

	rd->c->secret = s;
	for (const struct node *c = s ? n->first : NULL; c; c = c->next, s++) {
		s->places = CONFIG_HEADER;
		is_name(rd, c, "secrets", config_check_secret_name);
		s->name = (struct config_text){c->key, c->key_line, false};
		read_map(rd, c, &secret_section, s);
		if (c->kind != NODE_MAP)
			continue;
		if (!s->file.text == !s->env.text)
			report_error(rd->r, rd->file, c->key_line, "%s: %s: name where its value is by `file:` or by `env:`", c->key,
			             s->file.text ? "has both file: and env:" : "has neither file: nor env:");
		if (!s->hosts.line)
			report_error(rd->r, rd->file, c->key_line,
			             "%s: has no hosts: name those that it may be sent to; `hosts: []` for one that is never to be sent", c->key);
		if (s->headers.count && !(s->places & CONFIG_HEADER))
			report_error(rd->r, rd->file, s->headers.line, "headers: of %s have no effect, because inject: does not name header", c->key);
	}
}

static void read_hosts(struct reader *rd, const struct node *n)
{
	struct config_host *h = begin_named(rd, n, sizeof(*h), &rd->c->host_count);
	size_t kept = 0;

	rd->c->host = h;
	for (const struct node *c = h ? n->first : NULL; c; c = c->next) {
		struct config_host *now = &h[kept];

		if (is_name(rd, c, "hosts", NULL))
			read_host(rd, c->key, c->key_line, "hosts", true, &now->name);
		if (c->kind != NODE_SCALAR || tree_plain_type(c->text, c->plain) == NULL || strcmp(tree_plain_type(c->text, c->plain), "empty") != 0)
			read_map(rd, c, &host_section, now); /* `name:` alone is `name: {}` */
		if (!now->name.text)
			continue;
		if (!now->http_allowed && strcmp(strrchr(now->name.text, ':'), ":80") == 0)
			report_error(rd->r, rd->file, c->key_line, "hosts: \"%s\": port 80 is plain http: say `http: allow`", c->key);
		if (now->http_allowed && now->ca.text && !now->name.bare)
			report_error(rd->r, rd->file, now->ca.line, "ca: has no effect on \"%s\", which is plain http", c->key);
		kept++;
	}
	rd->c->host_count = kept;
}

static void read_agents(struct reader *rd, const struct node *n)
{
	struct config_agent *a = begin_named(rd, n, sizeof(*a), &rd->c->agent_count);

	rd->c->agent = a;
	rd->c->agents_given = true;
	for (const struct node *c = a ? n->first : NULL; c; c = c->next, a++) {
		is_name(rd, c, "agents", config_check_agent_name);
		a->name = (struct config_text){c->key, c->key_line, false};
		read_map(rd, c, &agent_section, a);
	}
}

static int read_tree(struct config *c, const char *file, struct report *r, unsigned errors_before)
{
	struct reader rd = {c, file, r};

	if (c->tree)
		read_map(&rd, tree_root(c->tree), &policy_section, c);
	if (c->tree && r->errors == errors_before)
		return 0;
	config_free(c);
	return -1;
}

int config_load(struct config *c, const char *file, struct report *r)
{
	unsigned before = r->errors;

	*c = (struct config){.grace_seconds = GRACE_DEFAULT, .tree = tree_load(file, r)};
	return read_tree(c, file, r, before);
}

int config_parse(struct config *c, struct span text, const char *file, struct report *r)
{
	unsigned before = r->errors;

	*c = (struct config){.grace_seconds = GRACE_DEFAULT, .tree = tree_parse(text, file, r)};
	return read_tree(c, file, r, before);
}

void config_free(struct config *c)
{
	tree_free(c->tree);
	memset(c, 0, sizeof(*c));
}

const char *config_key(size_t i, const char **section)
{
	static const struct section *const all[] = {&policy_section, &secret_section, &host_section, &agent_section, &limit_section};

	for (size_t s = 0; s < sizeof(all) / sizeof(all[0]); i -= all[s++]->count)
		if (i < all[s]->count) {
			*section = all[s]->name;
			return all[s]->field[i].key;
		}
	return NULL;
}
