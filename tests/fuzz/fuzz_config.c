/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The policy grammar over any bytes: a refusal always says why, and what was taken has only canonical hosts.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void must_be_canonical(const struct config_text *host)
{
	struct hostname h;
	const char *why;

	must(hostname_parse(&h, span_str(host->text), 1, true, &why) == 0 && h.port_given);
	must(strcmp(h.text, host->text) == 0 && host->line > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct report r = {0};
	struct config c;

	if (config_parse(&c, span_of(data, size), "policy.yaml", &r) < 0) {
		must(r.errors > 0 && r.text.len > 0 && !c.tree);
	} else {
		must(r.errors == 0);
		for (size_t i = 0; i < c.host_count; i++)
			must_be_canonical(&c.host[i].name);
		for (size_t i = 0; i < c.secret_count; i++) {
			must(!c.secret[i].file.text != !c.secret[i].env.text && c.secret[i].places);
			for (size_t k = 0; k < c.secret[i].hosts.count; k++)
				must_be_canonical(&c.secret[i].hosts.item[k]);
		}
		config_free(&c);
	}
	report_deinit(&r);
	return 0;
}
