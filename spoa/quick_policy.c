/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quick_policy.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

static bool is_name(const char *s, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

	return len > 0 && strspn(s, letters) > 0 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") >= len;
}

/* Only the characters of a host, so that nothing else of YAML can be written; the policy's own check judges the rest. */
static bool is_host(const char *s, size_t len)
{
	return len > 0 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:*_") >= len;
}

static int write_secret(struct buf *out, const char *spec)
{
	size_t name = strcspn(spec, "@");
	const char *host = spec + name + 1;
	char variable[256];

	if (spec[name] != '@' || !is_name(spec, name) || name >= sizeof(variable)) {
		log_error("--secret %s: write NAME@host or NAME@host,host; NAME is a variable of your environment", spec);
		return -1;
	}
	memcpy(variable, spec, name);
	variable[name] = '\0';
	if (!getenv(variable)) {
		log_error("--secret %s: %s is not set in your environment; export it, or use --policy with a token file", spec, variable);
		return -1;
	}
	if (buf_printf(out, "  %s:\n    env: %s\n    hosts: [", variable, variable) < 0)
		return -1;
	for (const char *p = host;; p++) {
		size_t len = strcspn(p, ",");

		if (!is_host(p, len)) {
			log_error("--secret %s: a host's name is missing or has other characters than a name has", spec);
			return -1;
		}
		if (buf_printf(out, "%s\"%.*s\"", p == host ? "" : ", ", (int)len, p) < 0)
			return -1;
		p += len;
		if (!*p)
			break;
	}
	return buf_printf(out, "]\n");
}

int quick_policy_write(struct buf *out, const char *const *secrets, size_t secret_count, const char *const *hosts, size_t host_count)
{
	if (secret_count && buf_printf(out, "secrets:\n") < 0)
		return -1;
	for (size_t i = 0; i < secret_count; i++)
		if (write_secret(out, secrets[i]) < 0)
			return -1;
	if (host_count && buf_printf(out, "hosts:\n") < 0)
		return -1;
	for (size_t i = 0; i < host_count; i++) {
		if (!is_host(hosts[i], strlen(hosts[i]))) {
			log_error("--allow %s: not a host's name", hosts[i]);
			return -1;
		}
		if (buf_printf(out, "  \"%s\": {}\n", hosts[i]) < 0)
			return -1;
	}
	return 0;
}
