/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one table of refusals: code, HTTP status, what it means and how to mend it. docs/refusals.md is printed from it.
 */
#ifndef SLAPENIR_REFUSAL_H
#define SLAPENIR_REFUSAL_H

#include "buf.h"

enum refusal_code {
	REFUSAL_NONE,
	REFUSAL_CERT_REQUIRED,
	REFUSAL_CERT_EXPIRED,
	REFUSAL_CERT_REVOKED,
	REFUSAL_AGENT_UNKNOWN,
	REFUSAL_AGENT_SUSPENDED,
	REFUSAL_HOST_DENIED,
	REFUSAL_PORT_DENIED,
	REFUSAL_METHOD_DENIED,
	REFUSAL_PATH_DENIED,
	REFUSAL_ADDRESS_DENIED,
	REFUSAL_AUTHORITY_MISMATCH,
	REFUSAL_DNS_FAILED,
	REFUSAL_UPSTREAM_TLS,
	REFUSAL_TRIPWIRE,
	REFUSAL_CREDENTIAL_REQUIRED,
	REFUSAL_ENCODING_REFUSED,
	REFUSAL_PARTIAL_REFUSED,
	REFUSAL_UPGRADE_REFUSED,
	REFUSAL_TRACE_REFUSED,
	REFUSAL_TOO_LARGE,
	REFUSAL_PATTERN_TOO_LONG,
	REFUSAL_AGENT_UNAVAILABLE,
	REFUSAL_OVERLOADED,
	REFUSAL_AUDIT_UNAVAILABLE,
	REFUSAL_COUNT
};

struct refusal {
	const char *code; /* as in x-slapenir-code */
	unsigned status;
	const char *meaning;
	const char *how_to_mend;
};

const struct refusal *refusal_get(enum refusal_code code);
/* {"code":…,"rule":…,"secret":…,"how_to_mend":…}; rule and secret may be NULL and are then left out. */
int refusal_json(struct buf *out, enum refusal_code code, const char *rule, const char *secret);
/* docs/refusals.md */
int refusal_document(struct buf *out);

#endif
