/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Random secrets in random spellings in random noise: every one begins in a region, in every form of the gate, and what is held is
 * exactly what the slow definition holds. SLAPENIR_TEST_ROUNDS multiplies the rounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "carry.h"
#include "prefilter_internal.h"
#include "../random.h"
#include "shape_walk.h"
#include "spelling.h"

enum { SECRETS = 6, BYTES = 72, TEXT = 8192, ROUNDS = 40 };
enum { RAW, MIXED, HEX, BASE64, WRAPPED, MODES };

static const struct gate_form *const forms[] = {&gate_portable,
#if defined(__x86_64__)
                                                &gate_ssse3, &gate_avx2, &gate_avx512
#endif
};

struct set {
	uint8_t value[SECRETS][BYTES], room[SECRETS][BYTES];
	struct shape shape[SECRETS];
	unsigned count;
	struct prefilter *prefilter;
};

static void set_make(struct set *s)
{
	static const char *const prefix[] = {"", "", "sk-", "ghp_", "a.", "AKIA", "-_", "%&", "<\"", "x+/"};
	struct shape_set *shapes = shape_set_new();
	unsigned least = below(2) ? 4 : 20;
	bool open = below(2);

	s->count = 1 + below(SECRETS);
	for (unsigned i = 0; i < s->count; i++) {
		struct span letters = shape_alphabet_bytes((enum shape_alphabet)below(SHAPE_ALPHABETS));
		size_t n = (size_t)sprintf((char *)s->value[i], "%s", prefix[open ? below(10) : 2 + below(8)]), len = n + least + below(40);

		while (n < len)
			s->value[i][n++] = below(20) ? letters.p[below((unsigned)letters.len)] : (uint8_t)"-_./+\\"[below(6)];
		shape_of(&s->shape[i], span_of(s->value[i], len), span_of(NULL, 0), s->room[i]);
		assert_int_equal(shape_set_add(shapes, &s->shape[i]), 0);
	}
	s->prefilter = prefilter_new(shapes);
	assert_non_null(s->prefilter);
	shape_set_free(shapes);
}

static size_t noise(uint8_t *p, size_t n)
{
	static const char *const kinds[] = {"abcdefghij klmnop\n", "0123456789abcdef", "ABCDEFGHXYZabcdexyz0189+/\n", "\\%&#;u0041x+/ \n"};
	unsigned kind = below(5);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(kind == 4 ? below(256) : (uint8_t)kinds[kind][below((unsigned)strlen(kinds[kind]))]);
	return n;
}

static size_t spell_unit(uint8_t *p, uint8_t c)
{
	char *text = (char *)p;
	unsigned big = below(2);

	switch (below(8)) {
	case 0:
		return (size_t)(big ? sprintf(text, "\\u%04X", c) : sprintf(text, "\\u%04x", c));
	case 1:
		return (size_t)sprintf(text, "%%%02x", c);
	case 2:
		return (size_t)sprintf(text, "&#%d;", c);
	case 3:
		return (size_t)sprintf(text, "&#x%X;", c);
	case 4:
		return (size_t)sprintf(text, "\\\\u%04x", c);
	case 5:
		return (size_t)sprintf(text, "%%25%02X", c);
	case 6:
		p[0] = big ? 0 : c;
		p[1] = big ? c : 0;
		return 2;
	default:
		p[0] = c;
		return 1;
	}
}

static size_t spell_base64(uint8_t *out, const uint8_t *value, size_t len, bool wrapped, size_t *begin)
{
	static const char *const breaks[] = {"\n", "\r\n", "\\n", "\\r\\n"};
	size_t before = below(3), n = (before + len + 5) / 3 * 3, i, at = 0, column = 0, width = 40 + below(37);
	uint8_t plain[BYTES + 16] = {0};

	memcpy(plain + before, value, len);
	for (; wrapped && column < width - below(20); column++)
		out[at++] = spelling_sextet_char(below(64), false);
	for (i = 0; i < 4 * (n / 3); i++, column++) {
		unsigned three = (unsigned)plain[i / 4 * 3] << 16 | (unsigned)plain[i / 4 * 3 + 1] << 8 | plain[i / 4 * 3 + 2];

		if (wrapped && column >= 40 && column >= width) {
			at += (size_t)sprintf((char *)out + at, "%s", breaks[below(4)]);
			column = 0;
		}
		if (i == 8 * before / 6)
			*begin = at;
		out[at++] = spelling_sextet_char(three >> (18 - i % 4 * 6) & 63, below(2));
	}
	return at;
}

static size_t spell(uint8_t *out, const uint8_t *value, size_t len, unsigned mode, size_t *begin)
{
	size_t at = 0, i;

	*begin = 0;
	if (mode >= BASE64)
		return spell_base64(out, value, len, mode == WRAPPED, begin);
	for (i = 0; i < len; i++) {
		if (mode == HEX)
			at += (size_t)sprintf((char *)out + at, below(2) ? "%02x" : "%02X", value[i]);
		else if (mode == MIXED && below(3) == 0)
			at += spell_unit(out + at, value[i]);
		else
			out[at++] = value[i];
	}
	return at;
}

static bool region_has(struct prefilter *p, struct span text, unsigned line, size_t begin)
{
	struct prefilter_region r;
	struct prefilter_scan s;
	size_t from = 0;

	prefilter_scan_init(&s, p, text, line);
	while (prefilter_next(&s, from, &r)) {
		assert_true(r.begin >= from && r.end > r.begin && r.end <= text.len);
		if (r.begin <= begin && begin < r.end)
			return true;
		from = r.end;
	}
	return false;
}

static unsigned rounds(void)
{
	const char *more = getenv("SLAPENIR_TEST_ROUNDS");

	return ROUNDS * (more ? (unsigned)atoi(more) : 1);
}

static void whole__in_any_spelling__begins_in_a_region_of_every_form(void **state)
{
	uint8_t text[TEXT];
	struct set s;

	(void)state;
	for (unsigned i = 0; i < rounds(); i++) {
		set_make(&s);
		for (unsigned k = 0; k < 30; k++) {
			size_t n = noise(text, below(300)), begin, offset;
			unsigned which = below(s.count), line = below(2) ? 0 : below(41), f;

			begin = n;
			n += spell(text + n, s.value[which], s.shape[which].length, below(MODES), &offset);
			begin += offset;
			n += noise(text + n, below(300));
			for (f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
				if (!forms[f]->runs_here())
					continue;
				s.prefilter->form = forms[f];
				assert_true(region_has(s.prefilter, span_of(text, n), line, begin));
			}
			assert_true(prefilter_candidate(s.prefilter, span_of(text, n), true));
		}
		prefilter_free(s.prefilter);
	}
}

/* As an engine goes: what begins behind a region is in a later one. */
static void check_walk(struct prefilter *p, struct span text, const size_t *begin, unsigned count)
{
	struct prefilter_region r = {0, 0};
	struct prefilter_scan s;
	size_t from = 0;
	unsigned i = 0;
	bool more;

	prefilter_scan_init(&s, p, text, 0);
	do {
		more = prefilter_next(&s, from, &r);
		assert_true(!more || (r.begin >= from && r.end > r.begin));
		for (; i < count && (!more || begin[i] < r.end); i++)
			assert_true(begin[i] < from || (more && begin[i] >= r.begin));
		from = r.end;
	} while (more);
}

static void several__one_behind_the_other__begin_in_regions_of_every_form(void **state)
{
	uint8_t text[TEXT];
	size_t begin[8];
	struct set s;

	(void)state;
	for (unsigned i = 0; i < rounds(); i++) {
		set_make(&s);
		for (unsigned k = 0; k < 30; k++) {
			size_t n = noise(text, below(100)), offset;
			unsigned count, f;

			for (count = 0; count < 8; count++) {
				unsigned which = below(s.count);
				size_t at = n;

				n += spell(text + n, s.value[which], s.shape[which].length, below(MODES), &offset);
				begin[count] = at + offset;
				n += noise(text + n, below(3) ? below(4) : below(150));
			}
			for (f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
				if (!forms[f]->runs_here())
					continue;
				s.prefilter->form = forms[f];
				check_walk(s.prefilter, span_of(text, n), begin, count);
			}
		}
		prefilter_free(s.prefilter);
	}
}

/* All forms agree on the events. For runs a vector form may name blocks in vain, and never overlooks one. */
static void forms__of_the_gate__find_the_same(void **state)
{
	uint8_t text[TEXT];
	struct set s;

	(void)state;
	for (unsigned i = 0; i < rounds(); i++) {
		set_make(&s);
		for (unsigned k = 0; k < 30; k++) {
			size_t n = noise(text, below(300)), offset, from;
			unsigned which = below(s.count), f;
			struct span all;

			n += spell(text + n, s.value[which], s.shape[which].length, below(MODES), &offset);
			n += noise(text + n, below(700));
			all = span_of(text, n);
			for (f = 1; f < sizeof(forms) / sizeof(forms[0]); f++)
				for (from = 0; forms[f]->runs_here() && from < n; from += 1 + below(2 * GATE_BLOCK)) {
					struct gate_find a[GATE_FINDS], b[GATE_FINDS], c[GATE_FINDS];
					size_t end;
					bool found = gate_portable.next(&s.prefilter->gate, all, from < GATE_BLOCK ? 0 : from, a, &end);
					bool also = forms[f]->next(&s.prefilter->gate, all, from, b, &end);
					bool early = forms[f]->next(&s.prefilter->gate, all, from < GATE_GRAM ? 0 : from - GATE_GRAM, c, &end);

					if (also && b->events)
						assert_true(found && (a->block < b->block || (a->block == b->block && !(b->events & ~a->events))));
					if (found && (a->text || (a->line && !s.prefilter->gate.breaks))) /* a break near no run counts, too */
						assert_true(early && c->block < a->block + GATE_BLOCK);
					if (found && a->events && !s.prefilter->gate.head_min)
						assert_true(also && (b->block < a->block || (b->block == a->block && b->events == a->events)));
				}
		}
		prefilter_free(s.prefilter);
	}
}

static void literal__with_a_plus_for_its_space__is_a_candidate(void **state)
{
	struct shape_set *shapes = shape_set_new();
	struct prefilter *p;

	(void)state;
	assert_int_equal(shape_set_add_literal(shapes, span_str("my secret words")), 0);
	p = prefilter_new(shapes);
	assert_true(prefilter_candidate(p, span_str("q=my+secret+words&x=1"), true));
	assert_true(prefilter_candidate(p, span_str("q=my%20secret+words&x=1"), true));
	assert_false(prefilter_candidate(p, span_str("q=my-secret+words&x=1"), true));
	prefilter_free(p);
	shape_set_free(shapes);
}

static void digits__in_double_html_references__are_a_candidate(void **state)
{
	static const char digits[] = "12345678901234567890";
	struct shape_set *shapes = shape_set_new();
	uint8_t room[sizeof(digits)], text[256];
	struct prefilter *p;
	struct shape shape;
	size_t n = 0;

	(void)state;
	shape_of(&shape, span_str(digits), span_of(NULL, 0), room);
	assert_int_equal(shape_set_add(shapes, &shape), 0);
	p = prefilter_new(shapes);
	for (size_t i = 0; digits[i]; i++)
		n += (size_t)sprintf((char *)text + n, "&amp;#%d;", digits[i]);
	assert_true(prefilter_candidate(p, span_of(text, n), true));
	prefilter_free(p);
	shape_set_free(shapes);
}

static void hold__at_random_cuts__equals_the_definition(void **state)
{
	uint8_t text[TEXT];
	struct set s;

	(void)state;
	for (unsigned i = 0; i < rounds(); i++) {
		set_make(&s);
		for (unsigned k = 0; k < 20; k++) {
			unsigned which = below(s.count), line = below(2) ? 0 : below(41);
			size_t n = noise(text, below(200)), added, offset, held;
			struct span cut;

			added = spell(text + n, s.value[which], s.shape[which].length, below(MODES), &offset);
			cut = span_of(text, n + below((unsigned)added + 1));
			held = prefilter_hold(s.prefilter, cut, line);
			assert_int_equal(held, shape_walk_hold(s.shape, s.count, cut, line));
			assert_true(held == cut.len || prefilter_candidate(s.prefilter, cut, false));
		}
		prefilter_free(s.prefilter);
	}
}

static void hold__escape_at_the_edge_of_the_window__is_seen(void **state)
{
	struct shape_set *shapes = shape_set_new();
	struct prefilter *p;
	struct shape shape;
	uint8_t room[2];

	(void)state;
	shape_of(&shape, span_str("a5"), span_of(NULL, 0), room);
	assert_int_equal(shape_set_add(shapes, &shape), 0);
	p = prefilter_new(shapes);
	assert_int_equal(prefilter_hold(p, span_str("&#x59;T"), 0), shape_walk_hold(&shape, 1, span_str("&#x59;T"), 0));
	prefilter_free(p);
	shape_set_free(shapes);
}

static void ordinary_ends__hold_nothing(void **state)
{
	static const char *const ends[] = {"data: {\"a\":1}\n\n", "{\"key\":\"value\"}", "an ordinary line\n"};
	struct shape_set *shapes = shape_set_new();
	struct prefilter *p;
	struct shape shape;
	uint8_t room[32];

	(void)state;
	shape_of(&shape, span_str("aB3dE6gH9jK2mN5pQ8sT"), span_of(NULL, 0), room);
	assert_int_equal(shape_set_add(shapes, &shape), 0);
	p = prefilter_new(shapes);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		assert_int_equal(prefilter_hold(p, span_str(ends[i]), 0), strlen(ends[i]));
		assert_false(prefilter_candidate(p, span_str(ends[i]), false));
	}
	prefilter_free(p);
	shape_set_free(shapes);
}

/* Base64 cut by a line break near its beginning, where the scan starts: what was long enough for a line stands in front. */
static void wrapped__where_a_scan_starts__is_in_a_region_of_every_form(void **state)
{
	static const char value[] = "sk-ant-api03-abcdefg", encoded[] = "c2stYW50LWFwaTAzLWFiY2RlZmc";
	uint8_t template_[sizeof(value)], text[400];
	struct shape_set *shapes = shape_set_new();
	struct prefilter_region r;
	struct prefilter_scan scan;
	struct prefilter *p;
	struct shape shape;
	size_t begin, cut, f;

	(void)state;
	shape_of(&shape, span_str(value), span_of(NULL, 0), template_);
	assert_int_equal(shape_set_add(shapes, &shape), 0);
	p = prefilter_new(shapes);
	for (f = 0; f < sizeof(forms) / sizeof(forms[0]); f++)
		for (begin = CARRY_LINE_FULL; forms[f]->runs_here() && begin < 200; begin++)
			for (cut = 1; cut < 8; cut++) {
				size_t n = begin, line = CARRY_LINE_FULL;

				memset(text, ' ', n);
				memset(text + n - line, '/', line);
				memcpy(text + n, encoded, cut);
				text[n + cut] = '\n';
				memcpy(text + n + cut + 1, encoded + cut, sizeof(encoded) - 1 - cut);
				n += sizeof(encoded);
				text[n++] = ' ';
				p->form = forms[f];
				prefilter_scan_init(&scan, p, span_of(text, n), 0);
				assert_true(prefilter_next(&scan, begin, &r));
				assert_true(r.begin == begin);
			}
	prefilter_free(p);
	shape_set_free(shapes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole__in_any_spelling__begins_in_a_region_of_every_form),
		cmocka_unit_test(several__one_behind_the_other__begin_in_regions_of_every_form),
		cmocka_unit_test(forms__of_the_gate__find_the_same),
		cmocka_unit_test(wrapped__where_a_scan_starts__is_in_a_region_of_every_form),
		cmocka_unit_test(literal__with_a_plus_for_its_space__is_a_candidate),
		cmocka_unit_test(digits__in_double_html_references__are_a_candidate),
		cmocka_unit_test(hold__at_random_cuts__equals_the_definition),
		cmocka_unit_test(hold__escape_at_the_edge_of_the_window__is_seen),
		cmocka_unit_test(ordinary_ends__hold_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
