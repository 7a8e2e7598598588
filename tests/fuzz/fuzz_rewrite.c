/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine. The first bytes of the data choose direction and cuts, the rest is the input, in which some bytes stand for whole secrets
 * (kit_expand()). Then: in pieces and with little room it gives what it gives at
 * once; and another set of the same names and shapes, its secrets put in the same places, cannot be told from the first.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../unit/rewrite_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETS = 2, SECRETS = 4 };

/* Each begins with public bytes: without them the hold tells the first characters of a secret that stands behind chosen bytes (docs/engine.md,
 * what stays open). */
static const char *const values[SETS][SECRETS] = {
	{"sk-abcdefGHIJKL0123456", "-_xyzzy0123456789ABCDEFxyz", "\"\\qr+s/tT0=uv", "=%aaaaaaaaaaaZ9aab"},
	{"sk-9ZxKqp01MmNn8765zzz", "-_Q0w9E8r7T6y5U4i3O2p1A0s9", "\"\\Z9+b/cQ1=xy", "=%Zaaaaaaaaaaaa9bb"},
};

static struct kit kits[SETS];

static void must(int ok)
{
	if (!ok)
		abort();
}

/* They lie in arenas, where the leak checker does not look. */
static void release(void)
{
	for (size_t s = 0; s < SETS; s++)
		kit_deinit(&kits[s]);
}

static void setup(void)
{
	size_t s, i;

	for (s = 0; s < SETS; s++) {
		kit_init(&kits[s]);
		for (i = 0; i < SECRETS; i++)
			kit_add(&kits[s], "N", values[s][i], "", (unsigned)i);
		kit_build(&kits[s]);
	}
	must(atexit(release) == 0);
}

/* What stands right in front of a secret may look like the beginning of one together with its first characters, and then the hold begins
 * earlier as long as these fit: docs/engine.md, what stays open. These bytes go on with nothing. */
static bool secrets_stand_apart(const struct kit *k, const uint8_t *data, size_t size)
{
	bool apart = true;

	for (size_t i = 0; i < size && apart; i++) {
		struct buf before = {0};

		if (data[i] < 0x80 || data[i] > 0x8b)
			continue;
		kit_expand(&before, k, data, i);
		apart = before.len == 0 || memchr(" ,({<[:", before.p[before.len - 1], 7);
		size = before.len < 8192 ? size : i;
		buf_deinit(&before);
	}
	return apart;
}

static enum rewrite_verdict keep_placeholders(void *ctx, enum rewrite_match match, unsigned *entry)
{
	(void)ctx, (void)entry;
	return match == MATCH_SECRET ? REWRITE_REPLACE : REWRITE_KEEP;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rewrite_scope scope = {.direction = REWRITE_RESPONSE};
	struct kit_cuts whole = {.next = kit_fixed, .fixed = SIZE_MAX}, pieces = {.next = kit_any};
	struct buf in[SETS] = {{0}}, out[SETS] = {{0}}, cut[SETS] = {{0}}, trace[SETS] = {{0}};
	size_t consumed, s;

	if (size < 5)
		return 0;
	if (!kits[0].rewriter)
		setup();
	if (data[0] & 1) {
		scope.direction = REWRITE_REQUEST;
		scope.decide = keep_placeholders;
	}
	for (s = 0; s < SETS; s++) {
		kit_expand(&in[s], &kits[s], data + 4, size - 4);
		must(kit_feed(kits[s].rewriter, &scope, buf_span(&in[s]), &whole, &out[s], NULL, &consumed) == REWRITE_OK);
		must(out[s].len == in[s].len);
		pieces.fixed = 1 + data[1];
		pieces.random = 1 + data[2];
		pieces.room = data[0] & 2 ? 300 : 0;
		pieces.trace = &trace[s];
		must(kit_feed(kits[s].rewriter, &scope, buf_span(&in[s]), &pieces, &cut[s], NULL, &consumed) == REWRITE_OK);
		must(span_eq(buf_span(&out[s]), buf_span(&cut[s])));
	}
	/* data that spells a secret of one set by itself is a guess, and may be told by being right */
	if (memcmp(out[0].p, out[1].p, out[0].len) == 0 && secrets_stand_apart(&kits[0], data + 4, size - 4))
		must(span_eq(buf_span(&trace[0]), buf_span(&trace[1])));
	for (s = 0; s < SETS; s++) {
		buf_deinit(&in[s]);
		buf_deinit(&out[s]);
		buf_deinit(&cut[s]);
		buf_deinit(&trace[s]);
	}
	return 0;
}
