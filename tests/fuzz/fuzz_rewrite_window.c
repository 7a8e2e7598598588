/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine finds the same with its windows as without, in every cut. The first byte chooses the set of secrets, the direction and a
 * base64 line in front of the input, which is as in fuzz_rewrite.c; the second how the input is cut.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../unit/rewrite_kit.h"
#include "rewrite_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETS = 3, SECRETS = 4 };

/* Of letters and digits; with bytes that are escaped and that escape, a space among them; without windows, too short or of digits, beside others. */
static const char *const values[SETS][SECRETS] = {
	{"xyzzy0123456789ABCDEFxyz", "sk-ant-api03-abcdefGHIJKLmnopQRSTuv", "aaaaaaaaaaaaaaaaaaaaaaaaaab", "0123456789abcdef0123456789abcdef"},
	{"p\"q\\r+s/tT0=uVwXyZabcdefghij012", "one two three four five six", "AKIA0123456789ABCDEF", "9d1c7f0e-3a5b-4c6d-8e9f-0a1b2c3d4e5f"},
	{"a%4z", "hf_abcdefGHIJKLmnopQRSTuvwxyz", "ghp_0123456789abcdefghijABCDEFGHIJ", "31415926535897932384626433832795028841971693993751"},
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
				kit_add(k, "N", values[s][i], i == 1 ? "my-own-placeholder-for-it" : "", (unsigned)i);
			kit_build(k);
			for (size_t d = 0; d < 2; d++) {
				must(k->rewriter->automata[d].windows != NULL);
				if (without)
					k->rewriter->automata[d].windows = NULL;
			}
		}
	must(atexit(release) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = {0}, out[2] = {{0}};
	struct rewrite_scope scope = {.direction = REWRITE_RESPONSE};
	const struct kit *pair;

	if (size < 3)
		return 0;
	if (!kits[0][0].rewriter)
		setup();
	pair = kits[data[0] % SETS];
	if (data[0] & 0x40)
		scope.direction = REWRITE_REQUEST;
	if (data[0] & 0x80)
		for (unsigned i = 0; i < 40; i++)
			buf_putc(&in, 'Q');
	kit_expand(&in, &pair[0], data + 2, size - 2);
	for (size_t without = 0; without < 2; without++) {
		struct kit_cuts cuts = {.next = data[1] ? kit_any : kit_fixed, .fixed = data[1] ? 8 * (size_t)data[1] : SIZE_MAX, .random = 1 + data[1]};
		size_t consumed;

		must(kit_feed(pair[without].rewriter, &scope, buf_span(&in), &cuts, &out[without], NULL, &consumed) == REWRITE_OK);
		must(consumed == in.len);
	}
	must(span_eq(buf_span(&out[0]), buf_span(&out[1])));
	buf_deinit(&in);
	buf_deinit(&out[0]);
	buf_deinit(&out[1]);
	return 0;
}
