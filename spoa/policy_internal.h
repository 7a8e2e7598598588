/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The policy from the inside, for the files policy_*.c.
 *
 *   config ──▶ policy_secrets.c  values, placeholders ──▶ entry[]     0..exported)  canary  in grace
 *          ──▶ policy_rules.c    methods and paths    ──▶ rule[]      0: no restriction
 *          ──▶ policy_hosts.c    hosts and agents     ──▶ host[], agent[], sorted by name
 *
 * All of it lies in the secret arena.
 */
#ifndef SLAPENIR_POLICY_INTERNAL_H
#define SLAPENIR_POLICY_INTERNAL_H

#include "config.h"
#include "path.h"
#include "policy.h"

enum { POLICY_NONE = UINT32_MAX, POLICY_CANARY = UINT32_MAX - 1 }; /* instead of the number of a host or agent */

struct policy_prefix { /* of a path, in both views */
	struct span separated, literal;
};

struct policy_rule_set {
	const struct span *method;
	size_t method_count; /* 0: all */
	const struct policy_prefix *path;
	size_t path_count;   /* 0: all */
	unsigned methods_line, paths_line;
};

struct policy_entry {
	const char *name;
	unsigned line;
	unsigned places; /* INJECT_ bits, 0 in grace */
	const char *const *header; /* lower case, besides the built-in ones */
	size_t header_count;
	uint32_t rule;
	struct span placeholder; /* exported */
	bool weak, given_differs; /* a given placeholder of another length */
	uint64_t expires_ms;      /* in grace, else 0 */
};

struct policy_host_entry {
	struct policy_host public;
	struct policy_rule_set rule;
	bool require;
	uint32_t covering;      /* wildcard whose secrets are bound here too, or POLICY_NONE */
	const uint32_t *bound;  /* entries of secrets that name this very host, ascending */
	size_t bound_count;
};

struct policy_agent {
	const char *name;
	unsigned line;
	bool all_hosts;
	const uint8_t *secrets, *hosts; /* bitmaps over entry[] and host[] */
	struct policy_limits limits;
};

struct policy_variable { /* a value of `env:` */
	const char *name;
	struct span value;
};

struct policy {
	struct secret_arena *arena;
	struct shape_set *shapes; /* on the heap: public */
	uint8_t generation[8];
	struct rewriter *rewriter;
	const struct policy_entry *entry;
	size_t entries, exported;
	uint32_t canary; /* entry, or POLICY_NONE */
	const struct policy_rule_set *rule;
	size_t rules;
	const struct policy_host_entry *host;
	size_t hosts;
	const struct policy_agent *agent; /* by name */
	size_t agents;
	bool agents_given;
	const char *const *credential; /* header names, sorted */
	size_t credentials;
	const char *const *dropped;
	size_t dropped_count;
	const struct policy_variable *variable; /* by name */
	size_t variables;
	bool audit_required, tripwire_suspends, prefilter, isolation_strict;
	bool response_length_changes;
	uint64_t grace_ends_ms;
};

/* A policy in the making. */
struct policy_build {
	const struct policy_options *o;
	struct report *r;
	struct config c;
	struct policy *p;
	struct secret_arena *arena, *scratch; /* scratch: whole token files, wiped when loading is done */
	uint32_t *entry_of; /* per config secret: its entry, or POLICY_NONE when it was left out */
	struct rewrite_entry *rewrite;
};

/* Each returns 0, or -1 with the reason in the report. */
int policy_build_secrets(struct policy_build *b);
int policy_build_rules(struct policy_build *b);
int policy_build_hosts(struct policy_build *b);
int policy_build_agents(struct policy_build *b);
int policy_build_rule(struct policy_build *b, const struct config_list *methods, const struct config_list *paths,
                      struct policy_rule_set *out);

/* From the arena; NULL is reported. */
void *policy_build_alloc(struct policy_build *b, size_t bytes);
const char *policy_build_text(struct policy_build *b, const char *text);
/* A file that the policy names, relative to the policy; in memory of the config. */
const char *policy_build_path(struct policy_build *b, const char *name);

/* A request as rules look at it. */
struct policy_target {
	struct span method;
	enum path_result path;
	struct span separated, literal;
	bool dotted; /* both views must match */
	char room[2][PATH_MAX_BYTES + 1];
};

enum policy_match { POLICY_KEEPS, POLICY_BAD_METHOD, POLICY_BAD_PATH };

void policy_target_init(struct policy_target *t, struct span method, struct span path);
enum policy_match policy_rule_match(const struct policy_rule_set *rule, const struct policy_target *t);

/* The order of host[], and a search in it: the number, or POLICY_NONE. */
int policy_host_compare(const char *a, bool a_http, const char *b, bool b_http);
uint32_t policy_host_index(const struct policy *p, const char *name, bool http);

static inline bool policy_bit(const uint8_t *bitmap, size_t i)
{
	return bitmap[i >> 3] >> (i & 7) & 1;
}

#endif
