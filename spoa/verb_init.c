/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A first policy from a .env file: what the catalogue knows goes into the policy and into a token file, what it does not know is
 * listed. The .env file stays as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalogue.h"
#include "config.h"
#include "config_check.h"
#include "registry.h"
#include "token_edit.h"
#include "token_formats.h"
#include "tokens.h"
#include "verbs.h"

enum { ENV_BYTES_MAX = 1 << 20 };

struct draft {
	const char *tokens_name; /* as the policy names it */
	char **hosts;            /* NAME@host,host of the command line */
	int host_count;
	struct buf policy, tokens, unknown, others;
	unsigned known;
};

/* --- one variable --- */

static const char *given_hosts(const struct draft *d, struct span name)
{
	for (int i = 0; i < d->host_count; i++) {
		size_t len = strcspn(d->hosts[i], "@");

		if (span_eq(name, span_of(d->hosts[i], len)) && d->hosts[i][len] == '@')
			return d->hosts[i] + len + 1;
	}
	return NULL;
}

static bool contains(struct span s, const char *word)
{
	return memmem(s.p, s.len, word, strlen(word)) != NULL;
}

static bool looks_secret(struct span name, struct span value)
{
	static const char *const words[] = {"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASS", "CREDENTIAL", "PRIVATE", "_PAT", "DSN"};
	const uint8_t *at = value.len ? memchr(value.p, '@', value.len) : NULL;

	if (value.len < 8)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (contains(name, words[i]))
			return true;
	return (at && contains(span_of(value.p, (size_t)(at - value.p)), "://")) || token_prefix_length(value) >= 4;
}

static int put_hosts(struct buf *out, const char *hosts, char separator)
{
	const char *comma = "";
	int rc = buf_printf(out, "    hosts: [");

	while (rc == 0 && *hosts) {
		const char *end = strchrnul(hosts, separator);

		rc = buf_printf(out, "%s\"%.*s\"", comma, (int)(end - hosts), hosts);
		hosts = end + (*end != 0);
		comma = ", ";
	}
	return rc < 0 ? -1 : buf_printf(out, "]\n");
}

static int put_secret(struct draft *d, const struct token *t, const struct catalogue_entry *c, const char *hosts, char separator)
{
	int rc = buf_printf(&d->policy, "  %.*s:%s%s\n    file: \"%s\"\n", (int)t->key.len, (const char *)t->key.p, c ? "  # " : "", c ? c->provider : "",
	                    d->tokens_name);

	if (rc == 0 && c && c->kind == CATALOGUE_SIGNS)
		rc = buf_printf(&d->policy, "    # it signs requests and is never sent, so tools cannot work with a placeholder; it is only found in responses\n");
	if (rc == 0)
		rc = put_hosts(&d->policy, hosts, separator);
	if (rc == 0 && c && c->inject)
		rc = buf_printf(&d->policy, "    inject: [%s]\n", c->inject);
	if (rc == 0 && c && c->headers)
		rc = buf_printf(&d->policy, "    headers: [%s]\n", c->headers);
	d->known++;
	return rc < 0 ? -1 : token_line(&d->tokens, t->key, t->value);
}

static int put_unknown(struct draft *d, const struct token *t, const char *why)
{
	return buf_printf(&d->unknown, "  %.*s: %s; name its hosts: %.*s@HOST\n", (int)t->key.len, (const char *)t->key.p, why, (int)t->key.len,
	                  (const char *)t->key.p);
}

static int take(struct draft *d, const struct token *t)
{
	char name[256], host[HOSTNAME_MAX];
	const struct catalogue_entry *c;
	const char *hosts;

	snprintf(name, sizeof(name), "%.*s", (int)t->key.len, (const char *)t->key.p);
	hosts = given_hosts(d, t->key);
	c = catalogue_find(t->key, t->value);
	if (t->value.len == 0 || config_check_secret_name(name) || (!hosts && !c && !looks_secret(t->key, t->value)))
		return buf_printf(&d->others, " %s", name);
	if (hosts)
		return put_secret(d, t, c, hosts, ',');
	if (!c)
		return put_unknown(d, t, "the catalogue does not know it");
	if (c->kind != CATALOGUE_REGISTRY)
		return put_secret(d, t, c, c->hosts, ' ');
	if (registry_host(c->hosts, host, sizeof(host)))
		return put_secret(d, t, c, host, ' ');
	return put_unknown(d, t, "its host is not in this machine's configuration");
}

static int take_all(struct draft *d, const char *file, uint8_t *text, size_t len)
{
	struct token t = {0};
	size_t at = 0;
	int rc, bad = 0;

	while ((rc = tokens_next(&t, text, len, &at)) != 0)
		if (rc < 0) {
			fprintf(stderr, "%s:%u: is no KEY=VALUE line and was passed over\n", file, t.line);
			bad++;
		} else if (take(d, &t) < 0) {
			fprintf(stderr, "%s:%u: cannot be taken over: its value cannot be written in a line, or memory is out\n", file, t.line);
			return -1;
		}
	return bad ? 1 : 0;
}

/* --- files --- */

static int read_env(const char *file, struct buf *text)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	text->limit = ENV_BYTES_MAX;
	while (fd >= 0 && buf_reserve(text, 4096) == 0 && (n = read(fd, text->p + text->len, text->cap - text->len)) > 0)
		text->len += (size_t)n;
	if (fd < 0 || n != 0)
		fprintf(stderr, "slapenir init: %s cannot be read: %s\n", file, n > 0 ? "it is larger than 1 MiB" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return n == 0 ? 0 : -1;
}

/* Never over something. */
static int write_new(const char *path, struct span text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	ssize_t n = fd < 0 ? -1 : write(fd, text.p, text.len);

	if (fd < 0)
		fprintf(stderr, "slapenir init: %s: %s\n", path, errno == EEXIST ? "is there already and stays as it is; give another name" : strerror(errno));
	else if (n != (ssize_t)text.len || fsync(fd) < 0) {
		fprintf(stderr, "slapenir init: %s cannot be written: %s\n", path, strerror(errno));
		unlink(path);
		n = -1;
	}
	if (fd >= 0)
		close(fd);
	return n == (ssize_t)text.len && fd >= 0 ? 0 : -1;
}

static int write_both(const struct draft *d, const char *policy)
{
	char path[PATH_MAX], folder[PATH_MAX];
	const char *slash = strrchr(policy, '/');
	int dir = slash && d->tokens_name[0] != '/' ? (int)(slash - policy) + 1 : 0;

	if (snprintf(path, sizeof(path), "%.*s%s", dir, policy, d->tokens_name) >= (int)sizeof(path))
		return -1;
	strcpy(folder, path);
	if (access(policy, F_OK) == 0) {
		fprintf(stderr, "slapenir init: %s is there already and stays as it is; give another name by --policy\n", policy);
		return -1;
	}
	if (mkdir(dirname(folder), 0700) < 0 && errno != EEXIST) {
		fprintf(stderr, "slapenir init: %s cannot be made: %s\n", folder, strerror(errno));
		return -1;
	}
	if (write_new(path, buf_span(&d->tokens), 0600) < 0)
		return -1;
	if (write_new(policy, buf_span(&d->policy), 0644) < 0) {
		unlink(path);
		return -1;
	}
	printf("%s: %u secrets, values in %s\n", policy, d->known, path);
	return 0;
}

static void print_rest(const struct draft *d, const char *policy, const char *env)
{
	if (d->unknown.len)
		printf("not taken over, because nobody knows where they belong:\n%.*s", (int)d->unknown.len, (const char *)d->unknown.p);
	if (d->others.len)
		printf("no secrets, as it seems:%.*s\n", (int)d->others.len, (const char *)d->others.p);
	printf("next: slapenir check %s\n      slapenir env %s   (placeholders, to stand in place of %s in the sandbox)\n", policy, policy, env);
	printf("keep %s and the token file out of the sandbox\n", env);
}

static int init(struct draft *d, const char *env, const char *policy)
{
	struct buf text = {0};
	struct report r = {0};
	struct config c = {0};
	int rc = read_env(env, &text);

	if (rc == 0)
		rc = buf_printf(&d->policy, "# made by slapenir init; docs/policy.md is the reference\nsecrets:\n");
	if (rc == 0)
		rc = take_all(d, env, text.p ? text.p : (uint8_t *)"", text.len) < 0 ? -1 : 0;
	if (rc == 0 && d->known == 0) {
		fprintf(stderr, "slapenir init: %s has no credential that the catalogue knows\n", env);
		print_rest(d, policy, env);
		rc = -1;
	} else if (rc == 0) {
		rc = config_parse(&c, buf_span(&d->policy), policy, &r); /* a NAME@host may be malformed, a name may stand there twice */
		report_print(&r, stderr);
		if (rc == 0)
			rc = write_both(d, policy);
		if (rc == 0)
			print_rest(d, policy, env);
	}
	config_free(&c);
	report_deinit(&r);
	buf_deinit(&text);
	return rc == 0 ? 0 : 1;
}

int verb_init(int argc, char **argv)
{
	static const struct option options[] = {
		{"from-env", required_argument, NULL, 'e'}, {"policy", required_argument, NULL, 'p'}, {"tokens", required_argument, NULL, 't'}, {0}};
	const char *env = NULL, *policy = "policy.yaml";
	struct draft d = {.tokens_name = "secrets/real_tokens"};
	int opt, rc = 2;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return 2;
		*(opt == 'e' ? &env : opt == 'p' ? &policy : &d.tokens_name) = optarg;
	}
	d.hosts = argv + optind;
	d.host_count = argc - optind;
	for (int i = 0; i < d.host_count; i++)
		if (!strchr(d.hosts[i], '@'))
			env = NULL;
	if (!env)
		fprintf(stderr, "usage: slapenir init --from-env FILE [--policy FILE] [--tokens FILE] [NAME@HOST[,HOST]…]\n");
	else
		rc = init(&d, env, policy);
	buf_deinit(&d.policy);
	buf_deinit(&d.tokens);
	buf_deinit(&d.unknown);
	buf_deinit(&d.others);
	return rc;
}
