/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One generation: the policy as it was compiled, immutable, in a secret arena. Who may use what where is answered here
 * and nowhere else.
 */
#ifndef SLAPENIR_POLICY_H
#define SLAPENIR_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "refusal.h"
#include "rewrite.h"
#include "secret.h"
#include "shape.h"

struct policy;
struct report; /* messages FILE:LINE: what, how to mend it; see report.h */

struct policy_options {
	const char *file;          /* policy.yaml */
	const uint8_t *key;        /* 32 bytes, placeholder key */
	bool canary;               /* add the built-in canary entry and host (see docs/gateway.md) */
	const uint8_t *canary_value; /* random alphanumeric bytes of this start, 16 of which are used, when canary */
	const struct policy *previous; /* reload: `env:` values are kept from it, removed or rotated values within grace stay sanitized */
};

/* NULL when the policy is not usable; every reason is in the report, warnings too. A secret whose value is missing, empty or too short
 * does not make it so: it is left out and reported. Nothing points into options or the environment afterwards; the arena is sealed. */
struct policy *policy_load(const struct policy_options *o, struct report *r);
void policy_free(struct policy *p); /* wipes */

const uint8_t *policy_generation(const struct policy *p); /* 8 bytes */
const struct rewriter *policy_rewriter(const struct policy *p);
const struct shape_set *policy_shapes(const struct policy *p);
bool policy_prefilter(const struct policy *p);
bool policy_audit_required(const struct policy *p);
/* When the first value that is kept only for `grace` may be forgotten, in milliseconds since 1970: the master then loads again.
 * 0: there is none. */
uint64_t policy_grace_ends_ms(const struct policy *p);
struct secret_arena *policy_arena(const struct policy *p);

/* --- secrets, in file order; entry numbers are those of the rewriter. Behind those that are exported come the canary and the values
 * that are only sanitized for the time of grace: they have names and are never granted (the canary only to its own agent) --- */
enum policy_inject { INJECT_HEADER = 1, INJECT_QUERY = 2, INJECT_PATH = 4, INJECT_BODY = 8 };

size_t policy_secret_count(const struct policy *p);
const char *policy_secret_name(const struct policy *p, unsigned entry);
unsigned policy_secret_line(const struct policy *p, unsigned entry);
/* what the sandbox gets as the value of the variable: given, else made */
struct span policy_secret_placeholder(const struct policy *p, unsigned entry);
bool policy_agent_may_use(const struct policy *p, struct span agent, unsigned entry);
bool policy_secret_weak(const struct policy *p, unsigned entry); /* under 64 bits of guessing space */

/* --- verdicts --- */
struct policy_request { /* host: canonical name:port */
	struct span agent, host, method, path; /* path: raw, with query cut off */
	bool plain;                            /* http:// */
};

/* Both return REFUSAL_NONE when allowed. policy_connect judges what a CONNECT shows. */
enum refusal_code policy_connect(const struct policy *p, struct span agent, struct span host);
enum refusal_code policy_request(const struct policy *p, const struct policy_request *q);

/* Appends the rule by which `code` was given, "hosts: api.openai.com: methods (line 12)"; nothing if no line of the policy did. */
int policy_rule(const struct policy *p, const struct policy_request *q, enum refusal_code code, struct buf *out);

struct policy_limits { /* 0: none */
	unsigned streams, requests_per_second;
};
struct policy_limits policy_agent_limits(const struct policy *p, struct span agent);
size_t policy_agent_count(const struct policy *p);
const char *policy_agent_name(const struct policy *p, size_t i);
bool policy_audit_required(const struct policy *p);
bool policy_tripwire_suspends(const struct policy *p);
/* CLOCK_REALTIME, milliseconds, when the first value that is kept for grace expires; 0: none is kept. */
uint64_t policy_grace_ends_ms(const struct policy *p);

/* Does any rule look at more than agent and host here (methods, paths, require, limits)? If not a clean head's verdict can
 * be remembered for the generation. */
bool policy_host_is_plain_sailing(const struct policy *p, struct span agent, struct span host);
bool policy_host_requires(const struct policy *p, struct span host); /* `require: true` */

/* What a request may rehydrate, computed once at the head and carried with the stream (at most
 * EXCHANGE_SCOPE_MAX bytes): encoded form is policy's own. */
enum { POLICY_RULES_MAX = 2048 }; /* different pairs of methods: and paths: among the secrets of a policy */
struct policy_grant {             /* the caller's room */
	uint32_t host, agent;
	uint8_t rules[POLICY_RULES_MAX / 8 + 1]; /* which of them this request keeps */
};
int policy_grant_encode(const struct policy *p, const struct policy_request *q, struct buf *out);
/* NULL: these are not bytes that policy_grant_encode() gave for this generation. */
const struct policy_grant *policy_grant_decode(const struct policy *p, struct span encoded, struct policy_grant *room);
bool policy_grants(const struct policy *p, const struct policy_grant *g, unsigned entry, enum policy_inject place);

/* Why a secret is not rehydrated in a request: the first that holds. */
enum policy_bar { BAR_NONE, BAR_AGENT, BAR_HOST, BAR_PLAIN, BAR_METHOD_OR_PATH };
enum policy_bar policy_secret_bar(const struct policy *p, const struct policy_request *q, unsigned entry);
unsigned policy_secret_places(const struct policy *p, unsigned entry); /* INJECT_ bits */

bool policy_is_credential_header(const struct policy *p, struct span lower_name); /* built-in, or listed by any secret */
bool policy_secret_takes_header(const struct policy *p, unsigned entry, struct span lower_name);
bool policy_drops_response_header(const struct policy *p, struct span lower_name);
/* Some given placeholder has another length than its secret: response bodies' lengths may change; request bodies' too
 * where the grant injects such a one into a body. */
bool policy_response_length_changes(const struct policy *p);
bool policy_request_length_changes(const struct policy *p, const struct policy_grant *g);

/* --- what HAProxy must know: hosts of `hosts:` and of secrets, merged; the canary's is not among them --- */
#define POLICY_CANARY_NAME "SLAPENIR_CANARY"
#define POLICY_CANARY_AGENT "slapenir-canary"
#define POLICY_CANARY_HOST "canary.slapenir.invalid:443"
#define POLICY_CANARY_PREFIX "slapenir-canary-"                              /* the value: this and 16 random bytes of [0-9A-Za-z] */
#define POLICY_CANARY_PLACEHOLDER POLICY_CANARY_PREFIX "0000000000000000"

struct policy_host {
	const char *name;    /* canonical "name:port", wildcard "*.rest:port" */
	const char *connect; /* "IP:port" or NULL */
	const char *ca;      /* path as it is to be opened; NULL: the system's */
	bool http;           /* http://, without TLS; such a host has an entry of its own */
	bool ranges;
	unsigned line; /* of the policy, where it is named first */
};
/* What judges this host: its own entry, else its wildcard's, else NULL. */
const struct policy_host *policy_host_find(const struct policy *p, struct span host, bool plain);
size_t policy_host_count(const struct policy *p);
const struct policy_host *policy_host_get(const struct policy *p, size_t i);
bool policy_isolation_strict(const struct policy *p);
size_t policy_drop_header_count(const struct policy *p);
const char *policy_drop_header(const struct policy *p, size_t i); /* lower case */

#endif
