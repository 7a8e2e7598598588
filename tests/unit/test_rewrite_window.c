/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Windows by themselves: no beginning is lost, in any spelling, and hardly anything else is left. What the engine makes of them is compared in
 * fuzz_rewrite_window.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rewrite_kit.h"
#include "rewrite_regions.h"

enum { PATTERNS = 3000, LEN_MAX = 64, TEXT = 1 << 16 };

struct fixture {
	struct secret_arena *arena;
	uint8_t value[PATTERNS][LEN_MAX], template_[PATTERNS][LEN_MAX];
	struct rewrite_entry entry[PATTERNS];
	struct pattern pattern[PATTERNS];
	struct windows *windows;
};

static struct fixture f;

static void add(size_t i, struct span value, enum rewrite_match match)
{
	f.entry[i].value = value;
	shape_of(&f.entry[i].shape, value, span_of(NULL, 0), f.template_[i]);
	f.pattern[i] = (struct pattern){.p = value.p, .len = (uint32_t)value.len, .entry = (uint32_t)i, .match = match};
}

static void build(size_t count)
{
	f.arena = secret_arena_new(1 << 24);
	f.windows = NULL;
	assert_null(windows_new(&f.windows, f.arena, f.pattern, count, f.entry));
}

static void random_value(size_t i, const char *prefix, const char *letters, size_t len, uint64_t *random)
{
	size_t n = strlen(prefix);

	memcpy(f.value[i], prefix, n);
	while (n < len)
		f.value[i][n++] = (uint8_t)letters[kit_random(random, (unsigned)strlen(letters))];
	add(i, span_of(f.value[i], len), MATCH_SECRET);
}

static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* Runs over one region, the whole; parts come in order and do not overlap. Is `begin` in one of them? *share: bytes of all. */
static bool left(struct span in, size_t begin, size_t *share)
{
	struct prefilter_region whole = {0, in.len}, part;
	static struct window_scan sc;
	bool found = false;
	size_t last = 0;

	*share = 0;
	window_scan_init(&sc, f.windows, in, 0);
	for (window_scan_take(&sc, &whole, 0); window_scan_next(&sc, &part); last = part.end) {
		assert_true(part.begin < part.end && part.end <= in.len && part.begin >= last);
		found |= begin >= part.begin && begin < part.end;
		*share += part.end - part.begin;
	}
	return found;
}

/* How many bytes are left at least under several keys: some windows are known by chance, hardly the same ones under all keys. */
static size_t least_left(struct span in, size_t patterns)
{
	size_t least = SIZE_MAX, share;

	for (unsigned keys = 0; keys < 6; keys++) {
		build(patterns);
		assert_non_null(f.windows);
		left(in, 0, &share);
		least = share < least ? share : least;
		secret_arena_free(f.arena);
	}
	return least;
}

enum { AT_THE_END = 80 }; /* bytes in which what follows could decide */

static void plant(struct buf *in, const struct pattern *p, unsigned way, uint64_t *random)
{
	static const char *const breaks[] = {"\n", "\r\n", "\\n", "\\r\\n"};
	struct buf plain = {0};

	buf_append(&plain, "\x7f\xfe", way % 3);
	buf_append(&plain, p->p, p->len);
	switch (way) {
	case 0:
		buf_append(in, p->p, p->len);
		break;
	case 1:
		kit_hex(in, span_of(p->p, p->len), random);
		break;
	case 2:
		for (size_t i = 0; i < p->len; i++)
			kit_spell(in, p->p[i], kit_random(random, 8) ? 0 : 31, random);
		break;
	case 3: case 4: case 5:
		kit_base64(in, buf_span(&plain), kit_random(random, 2), 0, "", 0, random);
		break;
	default: /* wrapped somewhere */
		kit_base64(in, buf_span(&plain), kit_random(random, 2), 40 + kit_random(random, 12), breaks[kit_random(random, 4)],
		           way == 6 && kit_random(random, 2) ? 7 : 0, random);
		break;
	}
	buf_deinit(&plain);
}

static void make_some(uint64_t *random)
{
	static const char any[] = "\"\\+/=%& \x80\xff abcdefghijKLMNOPQRST0123456789ABCDEFGHIJklmnopqrstuvwxyz";

	random_value(0, "", alnum, 19, random);
	random_value(1, "sk-ant-api03-", alnum, 50, random);
	random_value(2, "", "0123456789abcdef", 40, random);
	random_value(3, "AKIA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 20, random);
	random_value(4, "", any, LEN_MAX, random);
	random_value(5, "", any, 50, random);
	add(6, span_str("three windy gates guard seven quiet roads"), MATCH_SECRET); /* no window without a space */
	random_value(7, "the-public-part-of-it-", alnum, 42, random);
	add(8, span_str("9d1c7f0e-3a5b-4c6d-8e9f-0a1b2c3d4e5f"), MATCH_SECRET);
	add(9, span_str("a placeholder: 1234567890"), MATCH_GIVEN);
}

static void beginnings__every_spelling_and_place__are_left(void **state)
{
	enum { COUNT = 10 };
	uint64_t random = 99;
	unsigned n, hit[COUNT] = {0};

	(void)state;
	make_some(&random);
	build(COUNT);
	assert_non_null(f.windows);
	for (n = 0; n < 20000; n++) {
		unsigned which = kit_random(&random, COUNT), way = kit_random(&random, 9), before = kit_random(&random, 200);
		const struct pattern *p = &f.pattern[which];
		struct buf in = {0};
		size_t share;
		uint8_t *exact;

		if (!p->windows)
			continue;
		for (unsigned j = 0; j < before; j++)
			buf_putc(&in, way > 5 || n % 2 ? 'Q' : (uint8_t)kit_random(&random, 256));
		plant(&in, p, way, &random);
		for (unsigned j = kit_random(&random, 80); j; j--)
			buf_putc(&in, n % 4 ? 'Z' : (uint8_t)kit_random(&random, 256));
		exact = malloc(in.len); /* so that a sanitizer sees a read behind the end */
		assert_non_null(exact);
		memcpy(exact, in.p, in.len);
		assert_true(left(span_of(exact, in.len), before + (way > 2 ? way % 3 : 0), &share));
		hit[which]++;
		free(exact);
		buf_deinit(&in);
	}
	for (n = 0; n < COUNT; n++)
		assert_int_equal(hit[n] > 0, f.pattern[n].windows);
	secret_arena_free(f.arena);
}

static void spaces__written_as_plus__are_left(void **state)
{
	const struct span value = span_str("three windy gates guard seven quiet roads"); /* no window without a space */
	uint8_t text[400];
	size_t share;

	(void)state;
	add(0, value, MATCH_SECRET);
	build(1);
	assert_non_null(f.windows);
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < value.len; i++)
		text[200 + i] = value.p[i] == ' ' ? '+' : value.p[i];
	assert_true(left(span_of(text, sizeof(text)), 200, &share));
	secret_arena_free(f.arena);
	assert_in_range(least_left(span_of(text, 200), 1), 1, AT_THE_END);
}

/* A secret without windows, wrapped, begins just behind the first byte that could begin any: the run that its line is began in front of it. */
static void wrapped_secret_without_windows__beside_one_with_windows__is_replaced(void **state)
{
	static const char digits[] = "31415926535897932384626433832795028841971693993751", *values[] = {"abcdefghijABCDEFGHIJklm", digits};
	static struct kit k;
	uint64_t random = 7;
	struct buf encoded = {0}, replaced = {0};
	size_t lead, cut;

	(void)state;
	kit_init(&k);
	for (unsigned i = 0; i < 2; i++)
		kit_add(&k, "N", values[i], "", i);
	kit_build(&k);
	assert_non_null(k.rewriter->automata[REWRITE_RESPONSE].windows);
	kit_base64(&encoded, span_str(digits), false, 0, "", 0, &random);
	kit_base64(&replaced, k.entry[1].made, false, 0, "", 0, &random);
	for (lead = 0; lead < 70; lead++)
		for (cut = lead > CARRY_LINE_FULL ? 0 : CARRY_LINE_FULL - lead; cut < encoded.len; cut++) {
			struct rewrite_scope scope = {.direction = REWRITE_RESPONSE};
			struct buf in = {0}, out = {0}, wanted = {0};
			struct rewrite_step step = {.last = true, .out = &out};

			for (unsigned w = 0; w < 2; w++) {
				struct buf *to = w ? &wanted : &in, *from = w ? &replaced : &encoded;

				for (size_t i = 0; i < lead; i++)
					buf_putc(to, '/');
				buf_append(to, from->p, cut);
				buf_append(to, "\n", cut > 0);
				buf_append(to, from->p + cut, from->len - cut);
				buf_append(to, " .\n", 3);
			}
			step.in = buf_span(&in);
			assert_int_equal(rewrite_feed(k.rewriter, &scope, &step, NULL), REWRITE_OK);
			assert_true(span_eq(buf_span(&out), buf_span(&wanted)));
			buf_deinit(&in);
			buf_deinit(&out);
			buf_deinit(&wanted);
		}
	buf_deinit(&encoded);
	buf_deinit(&replaced);
	kit_deinit(&k);
}

static void text_without_secrets__is_hardly_left(void **state)
{
	static const char event[] = "data: {\"id\":\"chatcmpl-9xYzAbCdEfGhIj\",\"content\":\"fifty of it and more\"}\n\n";
	static uint8_t text[4][TEXT];
	uint64_t random = 7;
	size_t i;

	(void)state;
	for (i = 0; i < PATTERNS; i++)
		random_value(i, i % 2 ? "ghp_" : "", alnum, 40, &random);
	for (i = 0; i < TEXT; i++) {
		text[0][i] = spelling_sextet_char(kit_random(&random, 64), false);
		text[1][i] = (uint8_t)"0123456789abcdef"[kit_random(&random, 16)];
		text[2][i] = (uint8_t)event[i % (sizeof(event) - 1)];
		text[3][i] = 'a';
	}
	for (i = 0; i < 4; i++)
		assert_in_range(least_left(span_of(text[i], TEXT), PATTERNS), 1, AT_THE_END);
}

/* Who watches the time must not learn one character after the other: until eleven are right at once it is as if none were. */
static void beginnings_of_a_secret__with_ten_characters_right__are_not_left(void **state)
{
	static const char prefix[] = "sk-ant-api03-";
	uint64_t random = 3;
	size_t known;
	unsigned way;

	(void)state;
	random_value(0, prefix, alnum, LEN_MAX, &random);
	build(1);
	secret_arena_free(f.arena);
	assert_int_equal(f.pattern[0].text_row, sizeof(prefix) - 1);
	assert_int_equal(f.pattern[0].coded_row, sizeof(prefix) - 1);
	for (known = 0; known <= sizeof(prefix) - 1 + 10; known++)
		for (way = 0; way < 3; way++) {
			struct buf in = {0}, plain = {0};

			while (plain.len < 4096) {
				buf_append(&plain, f.value[0], known);
				buf_putc(&plain, f.value[0][known] == 'x' ? 'y' : 'x');
			}
			if (way == 0)
				buf_append_span(&in, buf_span(&plain));
			else if (way == 1)
				kit_hex(&in, buf_span(&plain), &random);
			else
				kit_base64(&in, buf_span(&plain), false, 0, "", 0, &random);
			assert_in_range(least_left(buf_span(&in), 1), 1, AT_THE_END);
			buf_deinit(&in);
			buf_deinit(&plain);
		}
}

static void patterns__too_short_or_too_public__have_none(void **state)
{
	static const struct { const char *value; bool suits; } cases[] = {
		{"abcdefghijABCDEFGH", false}, /* one byte less than four windows take */
		{"abcdefghijABCDEFGHI", true},
		{"12345678901234567890", false}, /* 37 bits at most in eleven digits */
		{"0123456789abcdef0123", true},
		{"sk-ant-api03-abcdefGH", false},
		{"a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u", false},
		{"9d1c7f0e-3a5b-4c6d-8e9f-0a1b2c3d4e5f", true},
	};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		add(0, span_str(cases[i].value), MATCH_SECRET);
		build(1);
		assert_int_equal(f.pattern[0].windows, cases[i].suits);
		assert_int_equal(f.windows != NULL, cases[i].suits);
		secret_arena_free(f.arena);
	}
	add(0, span_str("sk-ant-api03-abcdefGH"), MATCH_GIVEN); /* nothing to be guessed */
	build(1);
	assert_true(f.pattern[0].windows);
	secret_arena_free(f.arena);
}

/* One region would do; each that is not taken with its neighbours is looked at again with a block behind it. */
static void row_of_windows__in_text_of_one_letter__is_left_in_few_parts(void **state)
{
	static uint8_t text[TEXT];
	struct prefilter_region whole = {0, TEXT}, part;
	static struct window_scan sc;
	size_t parts = 0;

	(void)state;
	add(0, span_str("aaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), MATCH_SECRET);
	build(1);
	memset(text, 'a', TEXT);
	window_scan_init(&sc, f.windows, span_of(text, TEXT), 0);
	for (window_scan_take(&sc, &whole, 0); window_scan_next(&sc, &part); parts++)
		;
	assert_in_range(parts, 1, 2 * TEXT / WINDOW_BLOCK);
	secret_arena_free(f.arena);
}

/* From a window that is known, whether another one is known tells nothing of the keys: with a hash that is linear a highest bit more or less
 * tells whether a key is even. */
static void window__one_bit_from_a_known_one__is_known_by_chance_only(void **state)
{
	enum { KEYS = 64, CHARS = WINDOW_HEX_WIDTH };
	uint64_t random = 5;
	unsigned known = 0, keys, word;

	(void)state;
	random_value(0, "", alnum, LEN_MAX, &random);
	for (keys = 0; keys < KEYS; keys++) {
		uint8_t chars[CHARS];

		build(1);
		for (unsigned i = 0; i < CHARS; i++)
			chars[i] = window_fold(f.value[0][f.pattern[0].text_row + i]);
		assert_true(window_known(f.windows, window_hash(f.windows, chars, WINDOW_CHARS)));
		for (word = 0; word < 2; word++) {
			chars[word * WINDOW_WORD + WINDOW_WORD - 1] ^= 0x80;
			known += window_known(f.windows, window_hash(f.windows, chars, WINDOW_CHARS));
			chars[word * WINDOW_WORD + WINDOW_WORD - 1] ^= 0x80;
		}
		secret_arena_free(f.arena);
	}
	assert_in_range(known, 0, KEYS / 8);
}

static bool knows(const struct windows *w, struct span value, size_t at)
{
	uint8_t chars[WINDOW_CHARS_WIDTH];

	for (unsigned i = 0; i < sizeof(chars); i++)
		chars[i] = window_fold(value.p[at + i]);
	return window_known(w, window_hash(w, chars, WINDOW_CHARS));
}

/* Who probes with what he knows gets no answer in responses, and learns in requests no key that counts there. */
static void placeholder__is_known_in_requests_only__under_other_keys(void **state)
{
	const struct rewrite_entry *e;
	const struct automaton *a;
	unsigned leaked = 0;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		static struct kit k;

		kit_init(&k);
		kit_add(&k, "N", "xyzzy0123456789ABCDEFxyzxyzzy0123456789", "", i);
		kit_build(&k);
		a = k.rewriter->automata;
		e = &k.rewriter->entries[0];
		assert_true(knows(a[REWRITE_RESPONSE].windows, e->value, 0) && knows(a[REWRITE_REQUEST].windows, e->value, 0));
		assert_true(knows(a[REWRITE_REQUEST].windows, e->made, 0));
		leaked += knows(a[REWRITE_RESPONSE].windows, e->made, 0);
		assert_memory_not_equal(a[0].windows->key, a[1].windows->key, sizeof(a[0].windows->key));
		kit_deinit(&k);
	}
	assert_in_range(leaked, 0, 1); /* by chance */
}

/* The engine asks them: in base64, where shapes rule nothing out, hardly a byte is left to threads. */
static size_t bytes_in_regions(const struct kit *k, struct span in)
{
	static struct regions r;
	size_t bytes = 0;

	regions_init(&r, k->rewriter, &k->rewriter->automata[REWRITE_RESPONSE], in, 0, 0);
	while (r.more) {
		size_t begin = r.next.begin;

		regions_reach(&r, begin);
		bytes += r.limit - begin;
	}
	return bytes;
}

static void regions__in_base64__are_few_with_windows(void **state)
{
	static uint8_t text[TEXT];
	static struct kit k;
	uint64_t random = 11;

	(void)state;
	for (size_t i = 0; i < TEXT; i++)
		text[i] = spelling_sextet_char(kit_random(&random, 62), false);
	kit_init(&k);
	kit_add(&k, "N", "xyzzy0123456789ABCDEFxyzxyzzy0123456789", "", 1);
	kit_build(&k);
	assert_in_range(bytes_in_regions(&k, span_of(text, TEXT)), 0, TEXT / 100);
	k.rewriter->automata[REWRITE_RESPONSE].windows = NULL;
	assert_in_range(bytes_in_regions(&k, span_of(text, TEXT)), TEXT / 2, TEXT);
	kit_deinit(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beginnings__every_spelling_and_place__are_left),
		cmocka_unit_test(spaces__written_as_plus__are_left),
		cmocka_unit_test(wrapped_secret_without_windows__beside_one_with_windows__is_replaced),
		cmocka_unit_test(text_without_secrets__is_hardly_left),
		cmocka_unit_test(beginnings_of_a_secret__with_ten_characters_right__are_not_left),
		cmocka_unit_test(row_of_windows__in_text_of_one_letter__is_left_in_few_parts),
		cmocka_unit_test(window__one_bit_from_a_known_one__is_known_by_chance_only),
		cmocka_unit_test(placeholder__is_known_in_requests_only__under_other_keys),
		cmocka_unit_test(regions__in_base64__are_few_with_windows),
		cmocka_unit_test(patterns__too_short_or_too_public__have_none),
	};

	return cmocka_run_group_tests_name("rewrite_window", tests, NULL, NULL);
}
