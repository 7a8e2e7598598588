/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine against the obvious replacer: random patterns, random inputs, all cuts of short inputs, random cuts of longer ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rewrite_model.h"

/* Patterns that are prefixes and parts of one another, with bytes that are escaped and bytes that escape. A backslash is never followed
 * by what it escapes: \\u005C" is a backslash and a quote in two ways, which only differ in which hex digits get their fixed case. */
static void random_value(char *out, size_t min, size_t max, uint64_t *random)
{
	static const char *const alphabets[] = {"ab", "ab-", "a4%1", "abcdefgh0123456789", "aA\"u04", "aA\\u04", "sk-09/+ "};
	const char *letters = alphabets[kit_random(random, 7)];
	size_t n = min + kit_random(random, (unsigned)(max - min)), i;

	for (i = 0; i < n; i++)
		do
			out[i] = letters[kit_random(random, (unsigned)strlen(letters))];
		while (i && out[i] == '\\' && out[i - 1] == '\\');
	out[kit_random(random, (unsigned)n)] = 'a'; /* one place at least is not public */
	out[n] = 0;
}

enum { VALUE_MAX = 48, INPUT_MAX = 600 };
enum size { SHORT, MIDDLE, LONG, SIZES }; /* of the patterns: what decides how the engine looks for their beginnings */

static void random_kit(struct kit *k, char values[][VALUE_MAX], enum size size, uint64_t *random)
{
	static const struct { size_t min, max, odd_max; } sizes[] = {{2, 5, 12}, {5, 12, 24}, {20, 32, VALUE_MAX}};
	size_t n = 1 + kit_random(random, 4), min = sizes[size].min, i;

	kit_init(k);
	for (i = 0; i < n; i++) {
		random_value(values[i], min, i % 2 ? sizes[size].odd_max : sizes[size].max, random);
		if (i && kit_random(random, 3) == 0) /* the beginning of another, or one that continues it */
			snprintf(values[i], VALUE_MAX, "%.*s%s", (int)(min - 1 + kit_random(random, 8)), values[i - 1], kit_random(random, 2) ? "a" : "");
		kit_add(k, "N", values[i], "", kit_random(random, 1000));
	}
	kit_build(k);
}

static void random_piece(const struct kit *k, struct buf *in, uint64_t *random)
{
	static const char noise[] = "\\%&+#;u04152abk-/=x \n";
	static const char *const breaks[] = {"\n", "\r\n", "\\n", "\\r\\n", "\\\\n"};
	struct span v = k->entry[kit_random(random, (unsigned)k->count)].value;
	unsigned kinds = kit_random(random, 3) ? 0 : kit_random(random, 32), spelled = kit_random(random, 2) ? 7 & kinds : 0, n;
	struct buf plain = {0};
	size_t i;

	switch (kit_random(random, 6)) {
	case 0:
		buf_putc(in, (uint8_t)noise[kit_random(random, sizeof(noise))]); /* the final zero byte, too */
		break;
	case 1:
	case 2:
		n = kit_random(random, 4) ? (unsigned)v.len : kit_random(random, (unsigned)v.len);
		for (i = 0; i < n; i++)
			kit_spell(in, v.p[i], kinds, random);
		break;
	case 3:
		kit_hex(in, v, random);
		break;
	default:
		for (n = 1 + kit_random(random, 3); n; n--) {
			for (i = kit_random(random, 3); i; i--)
				buf_putc(&plain, (uint8_t)kit_random(random, 256));
			buf_append_span(&plain, k->entry[kit_random(random, (unsigned)k->count)].value);
		}
		if (kit_random(random, 3) == 0)
			for (i = 0; i < 32; i++)
				buf_append(in, "Qq", 2); /* a line that is long enough to be wrapped */
		kit_base64(in, buf_span(&plain), kit_random(random, 2), kit_random(random, 3) ? 0 : 1 + kit_random(random, 60),
		           breaks[kit_random(random, 5)], spelled, random);
		break;
	}
	buf_deinit(&plain);
}

static void fail_with(const struct kit *k, struct span in, struct span want, struct span got, const char *how)
{
	struct span all[] = {in, want, got};
	size_t i, j;

	for (i = 0; i < k->count; i++)
		fprintf(stderr, "pattern %.*s -> %.*s\n", (int)k->entry[i].value.len, k->entry[i].value.p, (int)k->entry[i].made.len, k->entry[i].made.p);
	for (i = 0; i < 3; i++) {
		fprintf(stderr, "%s", i == 0 ? "input    " : i == 1 ? "expected " : "got      ");
		for (j = 0; j < all[i].len; j++)
			fprintf(stderr, all[i].p[j] >= ' ' && all[i].p[j] < 127 ? "%c" : "<%02x>", all[i].p[j]);
		fprintf(stderr, "\n");
	}
	fail_msg("%s", how);
}

static void check(const struct kit *k, const struct rewrite_scope *scope, struct span in, struct span want, struct kit_cuts cuts, const char *how)
{
	struct buf out = {0};
	size_t consumed;
	enum rewrite_result r = kit_feed(k->rewriter, scope, in, &cuts, &out, NULL, &consumed);

	if (r != REWRITE_OK || !span_eq(buf_span(&out), want))
		fail_with(k, in, want, buf_span(&out), how);
	buf_deinit(&out);
}

static void compare(uint64_t seed, enum size size, size_t longest, bool all_cuts)
{
	static const struct rewrite_scope response = {.direction = REWRITE_RESPONSE};
	static const size_t room[SIZES] = {200, 300, INPUT_MAX};
	static struct model model;
	struct model_pattern patterns[KIT_ENTRIES];
	static uint8_t want[1 << 14];
	char values[KIT_ENTRIES][VALUE_MAX];
	struct buf in = {0};
	struct kit k;
	size_t i;

	random_kit(&k, values, size, &seed);
	while (in.len < longest)
		random_piece(&k, &in, &seed);
	if (in.len > INPUT_MAX)
		in.len = INPUT_MAX;
	for (i = 0; i < k.count; i++)
		patterns[i] = (struct model_pattern){k.entry[i].value, k.entry[i].made};
	model_replace(&model, patterns, k.count, buf_span(&in), want);
	check(&k, &response, buf_span(&in), span_of(want, in.len), (struct kit_cuts){.next = kit_fixed, .fixed = in.len}, "whole");
	check(&k, &response, buf_span(&in), span_of(want, in.len), (struct kit_cuts){.next = kit_fixed, .fixed = 1}, "byte by byte");
	check(&k, &response, buf_span(&in), span_of(want, in.len), (struct kit_cuts){.next = kit_fixed, .fixed = in.len, .room = room[size]}, "little room");
	check(&k, &response, buf_span(&in), span_of(want, in.len), (struct kit_cuts){.next = kit_any, .fixed = 40, .random = seed}, "random cuts");
	for (i = 1; all_cuts && i < in.len; i++)
		check(&k, &response, buf_span(&in), span_of(want, in.len), (struct kit_cuts){.next = kit_first, .fixed = i}, "one cut");
	buf_deinit(&in);
	kit_deinit(&k);
}

static unsigned rounds(unsigned n)
{
	const char *more = getenv("SLAPENIR_TEST_ROUNDS");

	return more ? n * (unsigned)atoi(more) : n;
}

static void short_inputs__all_cuts__equal_the_model(void **state)
{
	unsigned i;

	(void)state;
	for (i = 1; i <= rounds(400); i++)
		compare(0x9e3779b97f4a7c15u * i, i % 4 == 3 ? MIDDLE : SHORT, 10 + i % 60, true);
}

static void longer_inputs__random_cuts__equal_the_model(void **state)
{
	unsigned i;

	(void)state;
	for (i = 1; i <= rounds(900); i++)
		compare(0xd1342543de82ef95u * i, i % SIZES, 100 + i % 500, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_inputs__all_cuts__equal_the_model),
		cmocka_unit_test(longer_inputs__random_cuts__equal_the_model),
	};

	return cmocka_run_group_tests_name("rewrite_model", tests, NULL, NULL);
}
