/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines of token files over any bytes: what comes out lies inside, and every line is seen once.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static int lies_in(struct span s, const uint8_t *text, size_t size)
{
	return s.p >= text && s.p <= text + size && s.len <= size - (size_t)(s.p - text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *text = malloc(size + 1);
	struct token token = {0};
	size_t at = 0, before = 0;
	unsigned lines = size > 0 && data[size - 1] != '\n';
	int rc;

	memcpy(text, data, size);
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	while ((rc = tokens_next(&token, text, size, &at)) != 0) {
		must(at > before && at <= size && token.line <= lines);
		before = at;
		if (rc < 0)
			continue;
		must(token.key.len > 0 && lies_in(token.key, text, size) && lies_in(token.value, text, size));
		must(!memchr(token.key.p, '\n', token.key.len) && !memchr(token.key.p, '=', token.key.len));
		must(token.value.p >= token.key.p + token.key.len);
	}
	must(token.line == lines && at == size);
	free(text);
	return 0;
}
