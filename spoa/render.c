/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "render.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <ifaddrs.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaf.h"
#include "report.h"
#include "stage.h"
#include "state.h"

enum {
	ANCHORS_MAX = 1024,
	ANCHOR_NAME = sizeof("anchor-") + 16,
	LEAF_NAME_MAX = 240, /* so that NAME.pem is a file name */
	NO_LIMIT = 1000000000,
};

/* The list must never be empty, or HAProxy refuses the bind line. Nobody asks for this one: CONNECT refuses the name. */
static const char always_leaf[] = "slapenir.invalid";
static const char *const subdirs[] = {"anchors", "leaves", NULL};

struct anchor {
	char name[ANCHOR_NAME]; /* from its content, so that what changes has another name */
	struct buf pem;
};

struct render {
	const struct policy *policy;
	struct report *report;
	struct stage stage;
	char dir[PATH_MAX], ca_dir[PATH_MAX], run_dir[PATH_MAX];
	struct anchor anchors[ANCHORS_MAX];
	unsigned anchor_count;
	bool system_used, clear_used;
};

static int fail(struct render *c, const char *name, const char *what)
{
	report_error(c->report, c->dir, 0, "%s: %s (%s); see that the directory is writable and the disk not full", name, what,
	             strerror(errno));
	return -1;
}

static int put(struct render *c, const char *name, struct buf *text)
{
	int rc = stage_write(&c->stage, name, buf_span(text));

	return rc < 0 ? fail(c, name, "cannot be written") : 0;
}

/* --- trust anchors --- */

static int read_anchor(struct render *c, const char *path, struct buf *out)
{
	FILE *f = fopen(path, "re");
	int ch;

	if (!f) {
		report_error(c->report, path, 0, "cannot be read (%s); `ca:` names a PEM file with the CA's certificates",
		             strerror(errno));
		return -1;
	}
	while ((ch = getc(f)) != EOF)
		if (buf_putc(out, (uint8_t)ch) < 0)
			break;
	fclose(f);
	if (memmem(out->p, out->len, "-----BEGIN CERTIFICATE-----", 27))
		return 0;
	report_error(c->report, path, 0, "holds no certificate; `ca:` names a PEM file with the CA's certificates");
	return -1;
}

/* Two files with the same bytes are one anchor. */
static const struct anchor *anchor_of(struct render *c, const char *path)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct anchor new = {0};
	unsigned i;

	if (read_anchor(c, path, &new.pem) < 0 || EVP_Digest(new.pem.p, new.pem.len, digest, NULL, EVP_sha256(), NULL) != 1)
		goto err;
	snprintf(new.name, sizeof(new.name), "anchor-%02x%02x%02x%02x%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3],
	         digest[4], digest[5], digest[6], digest[7]);
	for (i = 0; i < c->anchor_count; i++) {
		if (strcmp(c->anchors[i].name, new.name) == 0) {
			buf_deinit(&new.pem);
			return &c->anchors[i];
		}
	}
	if (c->anchor_count == ANCHORS_MAX) {
		report_error(c->report, path, 0, "is one `ca:` too many: at most %d different ones", ANCHORS_MAX);
		goto err;
	}
	c->anchors[c->anchor_count] = new;
	return &c->anchors[c->anchor_count++];
err:
	buf_deinit(&new.pem);
	return NULL;
}

/* --- hosts.map --- */

/* "1.2.3.4:5" or "[::1]:5" becomes "1.2.3.4|5" or "::1|5". */
static int put_connect(struct buf *out, const char *connect)
{
	const char *colon = connect ? strrchr(connect, ':') : NULL, *ip = connect;
	size_t len;

	if (!colon)
		return buf_append(out, "|", 1);
	len = (size_t)(colon - connect);
	if (len >= 2 && ip[0] == '[' && ip[len - 1] == ']') {
		ip++;
		len -= 2;
	}
	if (buf_append(out, ip, len) < 0)
		return -1;
	return buf_printf(out, "|%s", colon + 1);
}

static int put_host(struct render *c, struct buf *map, const struct policy_host *h)
{
	const struct anchor *anchor;

	if (buf_printf(map, "%s ", h->name) < 0)
		return -1;
	if (h->http) {
		c->clear_used = true;
		buf_printf(map, "clear|");
	} else if (!h->ca) {
		c->system_used = true;
		buf_printf(map, "system|");
	} else {
		anchor = anchor_of(c, h->ca);
		if (!anchor)
			return -1;
		buf_printf(map, "%s|", anchor->name);
	}
	put_connect(map, h->connect);
	return buf_printf(map, "|%s%s%s\n", h->http ? "http" : "", h->http && h->ranges ? "," : "", h->ranges ? "ranges" : "");
}

static int stage_hosts_map(struct render *c)
{
	struct buf map = {0};
	size_t i;
	int rc = 0;

	for (i = 0; i < policy_host_count(c->policy); i++)
		if (put_host(c, &map, policy_host_get(c->policy, i)) < 0)
			rc = -1;
	if (rc == 0)
		rc = put(c, "hosts.map", &map);
	buf_deinit(&map);
	return rc;
}

/* --- hosts.cfg --- */

/* The name server that was given: by the environment, or by the start script for later renderings in STATE/haproxy. */
static bool given_nameserver(const struct render *c, char out[64])
{
	const char *env = getenv("SLAPENIR_DNS");
	char path[PATH_MAX + 16];
	bool given;
	FILE *f;

	if (env)
		return snprintf(out, 64, "%s", env) < 64;
	snprintf(path, sizeof(path), "%s/name-server", c->dir);
	f = fopen(path, "re");
	given = f && fscanf(f, "%63s", out) == 1;
	if (f)
		fclose(f);
	return given;
}

static void put_nameservers(const struct render *c, struct buf *out)
{
	char line[512], address[64];
	unsigned char raw[sizeof(struct in6_addr)];
	unsigned n = 0;
	FILE *f;

	if (given_nameserver(c, address)) {
		buf_printf(out, "\tnameserver given %s\n", address);
		return;
	}
	f = fopen("/etc/resolv.conf", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "nameserver %63s", address) == 1 &&
		    (inet_pton(AF_INET, address, raw) == 1 || inet_pton(AF_INET6, address, raw) == 1))
			buf_printf(out, "\tnameserver system-%u %s:53\n", ++n, address);
	}
	if (f)
		fclose(f);
	if (n == 0) /* what the C library does without a resolv.conf */
		buf_printf(out, "\tnameserver default 127.0.0.1:53\n");
}

static void put_backend(const struct render *c, struct buf *out, const char *name, const char *tls)
{
	size_t i;

	buf_printf(out, "\nbackend %s\n\tmode http\n\thttp-reuse %s\n\tretry-on conn-failure\n", name,
	           policy_isolation_strict(c->policy) ? "never" : "safe");
	for (i = 0; i < policy_drop_header_count(c->policy); i++)
		buf_printf(out, "\thttp-response del-header %s\n", policy_drop_header(c->policy, i));
	buf_printf(out, "\tserver upstream 0.0.0.0:0%s\n", tls);
}

static int stage_hosts_cfg(struct render *c)
{
	/* With an empty SNI HAProxy would take any name of a trusted CA; verifyhost is what it compares with then. */
	static const char tls[] = " ssl verify required ca-file %s sni var(txn.name) verifyhost no-sni.invalid alpn h2,http/1.1";
	struct buf out = {0};
	char pem[96], line[256];
	unsigned i;
	int rc;

	buf_printf(&out, "# Written by `slapenir render`; the next one writes over it.\n\nresolvers dns\n");
	put_nameservers(c, &out);
	buf_printf(&out, "\taccepted_payload_size 1232\n\tresolve_retries 2\n\ttimeout resolve 1s\n\ttimeout retry 1s\n"
	                 "\thold valid 5s\n\thold obsolete 0s\n\thold nx 1s\n\thold other 1s\n\thold refused 1s\n\thold timeout 1s\n");
	if (c->system_used) {
		snprintf(line, sizeof(line), tls, "@system-ca");
		put_backend(c, &out, "system", line);
	}
	for (i = 0; i < c->anchor_count; i++) {
		snprintf(pem, sizeof(pem), "\"${SLAPENIR_RENDERED}/anchors/%s.pem\"", c->anchors[i].name);
		snprintf(line, sizeof(line), tls, pem);
		put_backend(c, &out, c->anchors[i].name, line);
		snprintf(pem, sizeof(pem), "anchors/%s.pem", c->anchors[i].name);
		if (put(c, pem, &c->anchors[i].pem) < 0)
			goto err;
	}
	if (c->clear_used)
		put_backend(c, &out, "clear", "");
	rc = put(c, "hosts.cfg", &out);
	buf_deinit(&out);
	return rc;
err:
	buf_deinit(&out);
	return -1;
}

/* --- certificates --- */

static int put_leaf(struct render *c, const struct leaf_ca *ca, struct buf *list, const char *host, size_t len)
{
	char name[LEAF_NAME_MAX + 1], file[LEAF_NAME_MAX + 16], path[2 * PATH_MAX];

	if (len > LEAF_NAME_MAX) {
		report_error(c->report, c->dir, 0, "%.*s: host names longer than %d bytes are not supported", (int)len, host,
		             LEAF_NAME_MAX);
		return -1;
	}
	memcpy(name, host, len);
	name[len] = '\0';
	snprintf(file, sizeof(file), "leaves/%s%s.pem", name[0] == '*' ? "_" : "", name + (name[0] == '*'));
	snprintf(path, sizeof(path), "%s/next/%s", c->dir, file);
	if (access(path, F_OK) == 0) /* the same name with another port */
		return 0;
	if (buf_printf(list, "%s\n", file + strlen("leaves/")) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", c->dir, file);
	if (leaf_is_good(ca, path, name) && stage_keep(&c->stage, file) == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/next/%s", c->dir, file);
	if (leaf_write(ca, path, name) == 0 && stage_adopt(&c->stage, file) == 0)
		return 0;
	return fail(c, file, "no certificate could be made");
}

static int stage_leaves(struct render *c)
{
	const char *why;
	struct leaf_ca *ca = leaf_ca_open(c->ca_dir, &why);
	const struct policy_host *h;
	struct buf list = {0};
	size_t i;
	int rc;

	if (!ca) {
		report_error(c->report, c->ca_dir, 0, "%s; make the development CA with `ca/dev-ca.sh init`, or put your own there",
		             why);
		return -1;
	}
	rc = put_leaf(c, ca, &list, always_leaf, strlen(always_leaf));
	for (i = 0; rc == 0 && i < policy_host_count(c->policy); i++) {
		h = policy_host_get(c->policy, i);
		if (!h->http)
			rc = put_leaf(c, ca, &list, h->name, strcspn(h->name, ":"));
	}
	if (rc == 0)
		rc = put(c, "crt-list", &list);
	buf_deinit(&list);
	leaf_ca_free(ca);
	return rc;
}

/* --- the rest --- */

static int stage_refusals(struct render *c)
{
	struct buf out = {0};
	int code, rc = 0;

	for (code = REFUSAL_NONE + 1; code < REFUSAL_COUNT; code++) {
		buf_printf(&out, "%s ", refusal_get(code)->code);
		if (refusal_json(&out, code, NULL, NULL) < 0) /* ends in a newline */
			rc = -1;
	}
	/* not a refusal, so without a code */
	buf_printf(&out, "unreachable {\"how_to_mend\":\"the upstream takes no connection; see that it runs and that the gateway "
	                 "can reach it\"}\n");
	if (rc == 0)
		rc = put(c, "refusals.map", &out);
	buf_deinit(&out);
	return rc;
}

static int stage_own_addresses(struct render *c)
{
	struct ifaddrs *all = NULL, *a;
	struct buf out = {0};
	char text[INET6_ADDRSTRLEN];
	const void *raw;
	int rc;

	if (getifaddrs(&all) < 0)
		return fail(c, "own-addresses.lst", "this machine's addresses cannot be listed");
	for (a = all; a; a = a->ifa_next) {
		if (!a->ifa_addr || (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
			continue;
		raw = a->ifa_addr->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)a->ifa_addr)->sin_addr
		                                        : (const void *)&((const struct sockaddr_in6 *)a->ifa_addr)->sin6_addr;
		if (inet_ntop(a->ifa_addr->sa_family, raw, text, sizeof(text)))
			buf_printf(&out, "%s\n", text);
	}
	freeifaddrs(all);
	rc = put(c, "own-addresses.lst", &out);
	buf_deinit(&out);
	return rc;
}

/* CN streams|requests per second, of agents that have limits */
static int stage_limits(struct render *c)
{
	struct policy_limits limits;
	struct buf out = {0};
	const char *name;
	int rc;

	for (size_t i = 0; i < policy_agent_count(c->policy); i++) {
		name = policy_agent_name(c->policy, i);
		limits = policy_agent_limits(c->policy, span_str(name));
		if (limits.streams || limits.requests_per_second)
			buf_printf(&out, "%s %u|%u\n", name, limits.streams ? limits.streams : NO_LIMIT,
			           limits.requests_per_second ? limits.requests_per_second : NO_LIMIT);
	}
	rc = put(c, "limits.map", &out);
	buf_deinit(&out);
	return rc;
}

/* NAME='VALUE', as a shell reads it */
static void put_setting(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s='", name);
	for (; *value; value++)
		if (*value == '\'')
			buf_printf(out, "'\\''");
		else
			buf_putc(out, (uint8_t)*value);
	buf_printf(out, "'\n");
}

static int stage_paths(struct render *c)
{
	struct buf out = {0};
	int rc;

	put_setting(&out, "SLAPENIR_RUN", c->run_dir);
	put_setting(&out, "SLAPENIR_RENDERED", c->dir);
	put_setting(&out, "SLAPENIR_CANARY", POLICY_CANARY_PLACEHOLDER);
	rc = put(c, "paths.env", &out);
	buf_deinit(&out);
	return rc;
}

/* HAProxy's group may enter the directory: the filter reads the shapes there. */
static int open_stage(struct render *c, bool group_reads)
{
	const struct group *g = geteuid() == 0 ? getgrnam("haproxy") : NULL;

	if (stage_open(&c->stage, c->dir, 0750, subdirs, true) < 0) {
		report_error(c->report, c->dir, 0, "cannot be made or emptied (%s); give --state a directory of your own",
		             strerror(errno));
		return -1;
	}
	if (group_reads && !g) {
		errno = EPERM;
		return fail(c, ".", "can be given to HAProxy's group only by root, and where there is a group haproxy");
	}
	if (fchmod(c->stage.dir, 0750) < 0 || (g && fchown(c->stage.dir, (uid_t)-1, g->gr_gid) < 0) ||
	    (group_reads && stage_share(&c->stage, g->gr_gid, subdirs) < 0))
		return fail(c, ".", "cannot be given to HAProxy's group");
	return 0;
}

int render_stage(const struct policy *p, const char *state, bool group_reads, struct report *r)
{
	struct render *c = calloc(1, sizeof(*c));
	unsigned i;
	int rc = -1;

	if (!c)
		return -1;
	c->policy = p;
	c->report = r;
	if (state_path(c->dir, sizeof(c->dir), state, STATE_HAPROXY_DIR) < 0 ||
	    state_path(c->ca_dir, sizeof(c->ca_dir), state, STATE_CA_DIR) < 0 ||
	    state_path(c->run_dir, sizeof(c->run_dir), state, STATE_RUN_DIR) < 0) {
		report_error(r, state, 0, "is not usable as state directory (%s); give --state a shorter path", strerror(errno));
		goto out;
	}
	if (open_stage(c, group_reads) < 0)
		goto out;
	if (stage_hosts_map(c) == 0 && stage_hosts_cfg(c) == 0 && stage_leaves(c) == 0 && stage_refusals(c) == 0 &&
	    stage_own_addresses(c) == 0 && stage_limits(c) == 0 && stage_paths(c) == 0)
		rc = 0;
	stage_close(&c->stage);
out:
	for (i = 0; i < c->anchor_count; i++)
		buf_deinit(&c->anchors[i].pem);
	free(c);
	return rc;
}

/* hosts.cfg last: it names the others */
static const char *const rendered[] = {"anchors", "leaves", "crt-list", "hosts.map", "limits.map", "refusals.map", "own-addresses.lst", "paths.env",
                                       "hosts.cfg"};

static int move_all(const char *state, int (*move)(const struct stage *, const char *), struct report *r)
{
	struct stage s;
	char dir[PATH_MAX];
	int rc = 0;

	if (state_path(dir, sizeof(dir), state, STATE_HAPROXY_DIR) < 0 || stage_open(&s, dir, 0750, subdirs, false) < 0) {
		report_error(r, state, 0, "nothing was rendered there (%s)", strerror(errno));
		return -1;
	}
	for (size_t i = 0; rc == 0 && i < sizeof(rendered) / sizeof(rendered[0]); i++) {
		rc = move(&s, rendered[i]);
		if (rc < 0)
			report_error(r, dir, 0, "%s cannot be moved into place (%s)", rendered[i], strerror(errno));
	}
	stage_close(&s);
	return rc;
}

int render_commit(const char *state, struct report *r)
{
	return move_all(state, stage_move, r);
}

int render_undo(const char *state, struct report *r)
{
	return move_all(state, stage_undo, r);
}
