/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine finds the same with its sieve as without, when the prefilter tells where to look. The first byte chooses the set of patterns
 * and the base64 line in front of the input, which is as in fuzz_rewrite.c.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../unit/rewrite_kit.h"
#include "rewrite_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETS = 3, SECRETS = 4 };

/* Short ones, with bytes that are escaped and that escape; middle ones; long ones. */
static const char *const values[SETS][SECRETS] = {
	{"a%4z", "p q+\\/0", "aaaab", "\"A&#1"},
	{"sk-abcdefGHI", "xyzzy0123456789", "p\"q\\r+s/tT0=u", "aaaaaaaaaaaZ9aab"},
	{"sk-abcdefGHIJKL0123456", "xyzzy0123456789ABCDEFxyz", "aaaaaaaaaaaaaaaaaaaaaaaaaab", "0123456789abcdef0123456789abcdef"},
};

static struct kit kits[SETS][2]; /* with and without */

static void must(int ok)
{
	if (!ok)
		abort();
}

/* They lie in arenas, where the leak checker does not look. */
static void release(void)
{
	for (size_t s = 0; s < SETS; s++)
		for (size_t without = 0; without < 2; without++)
			kit_deinit(&kits[s][without]);
}

static void setup(void)
{
	for (size_t s = 0; s < SETS; s++)
		for (size_t without = 0; without < 2; without++) {
			struct kit *k = &kits[s][without];

			kit_init(k);
			for (size_t i = 0; i < SECRETS; i++)
				kit_add(k, "N", values[s][i], "", (unsigned)i);
			kit_build(k);
			must(k->rewriter->automata[REWRITE_RESPONSE].sieve != NULL);
			if (without)
				k->rewriter->automata[REWRITE_RESPONSE].sieve = NULL;
		}
	must(atexit(release) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rewrite_scope scope = {.direction = REWRITE_RESPONSE};
	struct buf in = {0}, out[2] = {{0}};
	const struct kit *pair;

	if (size < 2)
		return 0;
	if (!kits[0][0].rewriter)
		setup();
	pair = kits[data[0] % SETS];
	if (data[0] & 0x80)
		for (unsigned i = 0; i < 40; i++)
			buf_putc(&in, 'Q');
	kit_expand(&in, &pair[0], data + 1, size - 1);
	for (size_t without = 0; without < 2; without++) {
		struct rewrite_step step = {.in = buf_span(&in), .last = true, .out = &out[without]};

		must(rewrite_feed(pair[without].rewriter, &scope, &step, NULL) == REWRITE_OK);
		must(step.consumed == in.len);
	}
	must(span_eq(buf_span(&out[0]), buf_span(&out[1])));
	buf_deinit(&in);
	buf_deinit(&out[0]);
	buf_deinit(&out[1]);
	return 0;
}
