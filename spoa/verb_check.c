/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "verb_policy.h"
#include "verbs.h"

/* Files that only HAProxy reads: a policy is compiled without them. */
static void check_ca(const char *file, const struct policy_host *h, struct report *r)
{
	FILE *f = h->ca ? fopen(h->ca, "re") : NULL;
	X509 *x;

	if (!h->ca)
		return;
	if (!f) {
		report_error(r, file, h->line, "%s: ca: %s cannot be opened: %s", h->name, h->ca, strerror(errno));
		return;
	}
	x = PEM_read_X509(f, NULL, NULL, NULL);
	if (!x)
		report_error(r, file, h->line, "%s: ca: %s holds no certificate in PEM", h->name, h->ca);
	X509_free(x);
	fclose(f);
}

static void note_secrets(const char *file, const struct policy *p)
{
	for (unsigned i = 0; i < policy_secret_count(p); i++)
		if (rewriter_entry(policy_rewriter(p), i)->shape.prefix_length == 0)
			fprintf(stderr,
			        "%s:%u: note: %s has no known prefix, so text that ends in letters or digits is held until more comes; `prefix:` names one that "
			        "is public\n",
			        file, policy_secret_line(p, i), policy_secret_name(p, i));
}

int verb_check(int argc, char **argv)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'}, {"key", required_argument, NULL, 'k'}, {0}};
	const char *state = NULL, *key = NULL, *file;
	struct report r = {0};
	struct policy *p;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return 2;
		*(opt == 's' ? &state : &key) = optarg;
	}
	if (argc - optind != 1) {
		fprintf(stderr, "usage: slapenir check POLICY [--state DIR] [--key FILE]\n");
		return 2;
	}
	file = argv[optind];
	p = verb_load_policy(file, key, state, true, &r);
	for (size_t i = 0; p && i < policy_host_count(p); i++)
		check_ca(file, policy_host_get(p, i), &r);
	report_print(&r, stderr);
	if (p) {
		note_secrets(file, p);
		if (!r.errors && !r.left_out)
			printf("%s: valid, %zu secrets, %zu hosts\n", file, policy_secret_count(p), policy_host_count(p));
	}
	opt = p && !r.errors && !r.left_out ? 0 : 1;
	policy_free(p);
	report_deinit(&r);
	return opt;
}
