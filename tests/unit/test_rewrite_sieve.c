/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sieve by itself: it names every beginning, in every spelling, and little else. What the engine makes of it is compared in
 * test_rewrite_model.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rewrite_kit.h"
#include "rewrite_sieve.h"

enum { PATTERNS = 3000, LEN = 40, TEXT = 1 << 16 };

static uint8_t bytes[PATTERNS][LEN];

struct fixture {
	struct secret_arena *arena;
	struct pattern pattern[PATTERNS];
	struct sieve *sieve;
};

static void build(struct fixture *f, size_t count, size_t len, uint64_t *random)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t i, j;

	f->arena = secret_arena_new(1 << 24);
	f->sieve = NULL;
	for (i = 0; i < count; i++) {
		for (j = 0; j < len; j++)
			bytes[i][j] = (uint8_t)letters[kit_random(random, 62)];
		f->pattern[i] = (struct pattern){.p = bytes[i], .len = (uint32_t)len, .entry = (uint32_t)i};
	}
	assert_null(sieve_new(&f->sieve, f->arena, f->pattern, count));
}

static void base64_text(uint8_t *p, size_t n, size_t line, uint64_t *random)
{
	for (size_t i = 0; i < n; i++)
		p[i] = line && i % (line + 1) == line ? '\n' : spelling_sextet_char(kit_random(random, 64), false);
}

/* Is `begin` in a region? Regions come in order and do not touch. */
static bool named(const struct sieve *s, struct span in, unsigned line, size_t begin)
{
	struct prefilter_region r, last = {0, 0};
	struct sieve_scan sc;
	bool found = false;

	for (sieve_scan_init(&sc, s, in, line); sieve_next(&sc, last.end, &r); last = r) {
		assert_true(r.begin < r.end && r.end <= in.len && (last.end == 0 || r.begin > last.end));
		found |= begin >= r.begin && begin < r.end;
	}
	return found;
}

static size_t share(const struct sieve *s, struct span in)
{
	struct prefilter_region r = {0, 0};
	struct sieve_scan sc;
	size_t n = 0;

	for (sieve_scan_init(&sc, s, in, 0); sieve_next(&sc, r.end, &r);)
		n += r.end - r.begin;
	return n;
}

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

static void beginnings__every_spelling_and_place__are_named(void **state)
{
	static const size_t sizes[][2] = {{1, 4}, {3, 5}, {20, 9}, {1, 16}, {50, 21}, {PATTERNS, LEN}};
	static struct fixture f;
	uint64_t random = 99;
	unsigned i, n;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		build(&f, sizes[i][0], sizes[i][1], &random);
		assert_non_null(f.sieve);
		for (n = 0; n < 2000; n++) {
			struct buf in = {0};
			unsigned way = kit_random(&random, 9), before = kit_random(&random, 200);
			uint8_t *exact;

			for (unsigned j = 0; j < before; j++)
				buf_putc(&in, way > 5 ? 'Q' : (uint8_t)kit_random(&random, 256));
			plant(&in, &f.pattern[n % sizes[i][0]], way, &random);
			for (unsigned j = kit_random(&random, 80); j; j--)
				buf_putc(&in, (uint8_t)kit_random(&random, 256));
			exact = malloc(in.len); /* so that a sanitizer sees a read behind the end */
			assert_non_null(exact);
			memcpy(exact, in.p, in.len);
			assert_true(named(f.sieve, span_of(exact, in.len), CARRY_LINE_FULL, before + (way > 2 ? way % 3 : 0)));
			free(exact);
			buf_deinit(&in);
		}
		secret_arena_free(f.arena);
	}
}

static void text_without_secrets__is_hardly_named(void **state)
{
	static const char event[] = "data: {\"id\":\"chatcmpl-9xYzAbCdEfGhIj\",\"content\":\"50 % of \\\"it\\\" & more\\n\"}\n\n";
	static uint8_t text[TEXT];
	static struct fixture f;
	uint64_t random = 7;
	size_t i;

	(void)state;
	build(&f, PATTERNS, LEN, &random);
	base64_text(text, TEXT, 0, &random);
	assert_int_equal(share(f.sieve, span_of(text, TEXT)), 0);
	base64_text(text, TEXT, 76, &random);
	assert_int_equal(share(f.sieve, span_of(text, TEXT)), 0);
	for (i = 0; i < TEXT; i++)
		text[i] = (uint8_t)event[i % (sizeof(event) - 1)];
	assert_int_equal(share(f.sieve, span_of(text, TEXT)), 0);
	for (i = 0; i < TEXT; i++)
		text[i] = (uint8_t)"0123456789abcdef"[kit_random(&random, 16)];
	assert_int_equal(share(f.sieve, span_of(text, TEXT)), 0);
	memset(text, 0, TEXT);
	assert_int_equal(share(f.sieve, span_of(text, TEXT)), 0);
	secret_arena_free(f.arena);
}

static void patterns__that_do_not_suit__have_none(void **state)
{
	static const struct { const char *value; bool suits; } cases[] = {{"abc", false}, {"abcd", true},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", false}};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pattern p = {.p = (const uint8_t *)cases[i].value, .len = (uint32_t)strlen(cases[i].value)};
		struct secret_arena *arena = secret_arena_new(1 << 20);
		struct sieve *s = NULL;

		assert_null(sieve_new(&s, arena, &p, 1));
		assert_int_equal(s != NULL, cases[i].suits);
		secret_arena_free(arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beginnings__every_spelling_and_place__are_named),
		cmocka_unit_test(text_without_secrets__is_hardly_named),
		cmocka_unit_test(patterns__that_do_not_suit__have_none),
	};

	return cmocka_run_group_tests_name("rewrite_sieve", tests, NULL, NULL);
}
