/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "refusal.h"

#include "json.h"

static const struct refusal table[REFUSAL_COUNT] = {
	[REFUSAL_NONE] = {"", 200, "", ""},
	[REFUSAL_CERT_REQUIRED] = {"cert_required", 403, "The TLS handshake failed: no client certificate, or one of another CA.",
		"Give the client a certificate of the gateway's agent CA. The client sees a failed handshake; the code stands in the audit log."},
	[REFUSAL_CERT_EXPIRED] = {"cert_expired", 403, "The client certificate expired while its connection was open.",
		"Renew the certificate and connect again."},
	[REFUSAL_CERT_REVOKED] = {"cert_revoked", 403, "The client certificate was revoked while its connection was open.",
		"Issue a new certificate to the agent if it is to go on."},
	[REFUSAL_AGENT_UNKNOWN] = {"agent_unknown", 403, "The certificate is valid, but its CN is not listed under agents:.",
		"Add the CN to agents: in the policy, or leave the section out."},
	[REFUSAL_AGENT_SUSPENDED] = {"agent_suspended", 403, "The agent sent a real secret and is refused until an operator lifts it.",
		"Find out in the audit log how it came by the secret, rotate the secret, then run `slapenir lift CN`."},
	[REFUSAL_HOST_DENIED] = {"host_denied", 403, "The policy allows no such host, or not for this agent.",
		"Name the host under hosts:, under hosts: of a secret, or under the agent's hosts:. IP addresses are never allowed."},
	[REFUSAL_PORT_DENIED] = {"port_denied", 403, "The host is allowed, but not on this port or not with this scheme.",
		"Write name:port under hosts:; plain http needs `http: allow`."},
	[REFUSAL_METHOD_DENIED] = {"method_denied", 403, "The host's methods: do not list this method.",
		"Add it to methods: of the host."},
	[REFUSAL_PATH_DENIED] = {"path_denied", 403, "The host's paths: do not match, or the path holds `..` that nothing takes away.",
		"Add the prefix to paths: of the host, or send a path without dot segments."},
	[REFUSAL_ADDRESS_DENIED] = {"address_denied", 403, "The host's address is private, link-local, a metadata service or the gateway itself.",
		"For a private service give its host a fixed `connect: IP:port`."},
	[REFUSAL_AUTHORITY_MISMATCH] = {"authority_mismatch", 421, "CONNECT, SNI and Host do not name the same host and port.",
		"Use one connection for each host."},
	[REFUSAL_DNS_FAILED] = {"dns_failed", 502, "The host's name could not be resolved.",
		"Check the name, and the resolver of the gateway."},
	[REFUSAL_UPSTREAM_TLS] = {"upstream_tls", 502, "The upstream's certificate was not accepted, or TLS failed.",
		"Check the upstream's certificate; for a private CA name it by `ca:` of the host."},
	[REFUSAL_TRIPWIRE] = {"tripwire", 403, "The request holds a real secret, not its placeholder.",
		"Send the placeholder from the environment. Find out how the agent came by the secret and rotate it."},
	[REFUSAL_CREDENTIAL_REQUIRED] = {"credential_required", 403,
		"The host says `require: true` and a credential header holds no placeholder that may be used here.",
		"Use the placeholder of a secret that names this host, not a key of your own."},
	[REFUSAL_ENCODING_REFUSED] = {"encoding_refused", 502, "The response is compressed in a way that cannot be looked into.",
		"Ask the upstream without Accept-Encoding; the gateway already does."},
	[REFUSAL_PARTIAL_REFUSED] = {"partial_refused", 502, "The upstream sent a part of a resource, which could cut a secret in two.",
		"For a host without secrets write `ranges: allow`."},
	[REFUSAL_UPGRADE_REFUSED] = {"upgrade_refused", 403, "WebSocket and other upgrades, and CONNECT inside a tunnel, are not let through.",
		"Use the service's plain HTTP interface."},
	[REFUSAL_TRACE_REFUSED] = {"trace_refused", 405, "TRACE answers with the request's own headers.",
		"Use another method."},
	[REFUSAL_TOO_LARGE] = {"too_large", 413, "The head does not fit the gateway's buffer.",
		"Send fewer or shorter headers, or move the data into the body."},
	[REFUSAL_PATTERN_TOO_LONG] = {"pattern_too_long", 403, "A spelling of a secret or placeholder is longer than half a buffer.",
		"Send it in a plainer spelling."},
	[REFUSAL_AGENT_UNAVAILABLE] = {"agent_unavailable", 503, "No worker answered in time, so nothing was let through.",
		"Try again; if it lasts, look at `slapenir status`."},
	[REFUSAL_OVERLOADED] = {"overloaded", 503, "The agent is over its limits, or the gateway is out of room.",
		"Wait as Retry-After says; raise limits: of the agent if it needs more."},
	[REFUSAL_AUDIT_UNAVAILABLE] = {"audit_unavailable", 503, "The audit log cannot be written and the policy says `audit: required`.",
		"Make room for the audit log."},
};

const struct refusal *refusal_get(enum refusal_code code)
{
	return &table[code];
}

static int member(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return 0;
	if ((out->p[out->len - 1] != '{' && buf_putc(out, ',') < 0) || json_string(out, span_str(key)) < 0 || buf_putc(out, ':') < 0)
		return -1;
	return json_string(out, span_str(value));
}

int refusal_json(struct buf *out, enum refusal_code code, const char *rule, const char *secret)
{
	const struct refusal *r = refusal_get(code);
	size_t before = out->len;

	if (buf_putc(out, '{') < 0 || member(out, "code", r->code) < 0 || member(out, "rule", rule) < 0 ||
	    member(out, "secret", secret) < 0 || member(out, "how_to_mend", r->how_to_mend) < 0 || buf_append(out, "}\n", 2) < 0) {
		out->len = before;
		return -1;
	}
	return 0;
}

int refusal_document(struct buf *out)
{
	int rc = buf_printf(out, "%s",
	                    "# Refusals\n\n"
	                    "What the gateway refuses, it refuses with a JSON body (`code`, `rule`, `secret` by name, `how_to_mend`) and the header\n"
	                    "`x-slapenir-code`. This page is printed by `slapenir refusals`.\n\n"
	                    "| code | status | what it means | how to mend it |\n| --- | --- | --- | --- |\n");

	for (unsigned i = REFUSAL_NONE + 1; rc == 0 && i < REFUSAL_COUNT; i++)
		rc = buf_printf(out, "| `%s` | %u | %s | %s |\n", table[i].code, table[i].status, table[i].meaning, table[i].how_to_mend);
	return rc;
}
