/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The grammar of the policy file: what is written, with the line of everything, before it means anything. docs/policy.md is
 * the reference. Host names are canonical here, paths, files and values are as written.
 */
#ifndef SLAPENIR_CONFIG_H
#define SLAPENIR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "hostname.h"
#include "report.h"
#include "tree.h"

struct config_text {
	const char *text; /* NULL: not given */
	unsigned line;
	bool bare; /* a host that was written without a port */
};

struct config_list {
	struct config_text *item;
	size_t count;
	unsigned line; /* 0: not given */
};

enum { CONFIG_HEADER = 1, CONFIG_QUERY = 2, CONFIG_PATH = 4, CONFIG_BODY = 8 };

struct config_secret {
	struct config_text name;
	struct config_text file, env;
	struct config_list hosts, inject, headers, methods, paths;
	struct config_text prefix, placeholder;
	unsigned places; /* CONFIG_HEADER … */
	bool allow_short;
};

struct config_host {
	struct config_text name; /* canonical "name:port" */
	struct config_text connect, ca;
	struct config_list methods, paths;
	struct config_text http, ranges; /* line of the setting */
	bool require, http_allowed, ranges_allowed;
};

struct config_agent {
	struct config_text name;
	struct config_list secrets, hosts; /* secrets: [all] is all_secrets */
	bool all_secrets;
	unsigned streams, requests_per_second; /* 0: no limit */
};

struct config {
	struct config_secret *secret;
	size_t secret_count;
	struct config_host *host;
	size_t host_count;
	struct config_agent *agent;
	size_t agent_count;
	bool agents_given;
	bool audit_best_effort, tripwire_suspends, no_prefilter, isolation_strict;
	struct config_list drop_response_headers; /* lower case */
	unsigned grace_seconds;
	struct tree *tree; /* the memory of everything above */
};

/* Every mistake is in the report. -1 when there was one; c is empty then. */
int config_load(struct config *c, const char *file, struct report *r) __attribute__((warn_unused_result));
int config_parse(struct config *c, struct span text, const char *file, struct report *r) __attribute__((warn_unused_result));
void config_free(struct config *c);

/* All keys of the grammar, for the check that docs/policy.md describes each; NULL after the last. section is "policy", "secrets",
 * "hosts", "agents" or "limits". */
const char *config_key(size_t i, const char **section);

#endif
