/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Nothing that can be observed depends on a secret's value. Two sets of secrets with the same names and shapes, and an input in which every
 * occurrence of a secret is exchanged for the other set's, in the same spelling: what the engine consumes, writes and carries is the
 * same, step by step, at every cut. Beginnings of secrets are not exchanged: to the observer they are guesses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rewrite_kit.h"

enum { TWINS = 2 };

static const char *const shapes[] = {
	"sk-****************", "ghp_*********", "************************", "*********-****-****", "a.*+*/*=*", "x\"*\\*********",
};

/* One of the letters and one of the digits, so that both sets have the same alphabet, and all case and all nibbles differ at random. */
static void random_secret(char *out, const char *shape, uint64_t *random)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t i, stars = 0;

	for (i = 0; shape[i]; i++) {
		out[i] = shape[i];
		if (shape[i] != '*')
			continue;
		out[i] = stars == 0 ? 'z' : stars == 1 ? 'Q' : letters[kit_random(random, 62)];
		stars++;
	}
	out[i] = 0;
	if (stars > 2 && kit_random(random, 2)) { /* not always in the same place */
		char *last = out + i - 1, *first = strchr(shape, '*') - shape + out, c = *first;

		if (shape[i - 1] == '*') {
			*first = *last;
			*last = c;
		}
	}
}

struct twins {
	struct kit kit[TWINS];
	char value[TWINS][KIT_ENTRIES][64];
	struct buf in[TWINS];
};

static void twins_init(struct twins *t, uint64_t *random)
{
	size_t n = 1 + kit_random(random, 4), i, k;

	memset(t, 0, sizeof(*t));
	for (k = 0; k < TWINS; k++)
		kit_init(&t->kit[k]);
	for (i = 0; i < n; i++) {
		const char *shape = shapes[kit_random(random, sizeof(shapes) / sizeof(shapes[0]))];

		for (k = 0; k < TWINS; k++) {
			random_secret(t->value[k][i], shape, random);
			kit_add(&t->kit[k], "N", t->value[k][i], i == 2 ? "GIVEN_PLACEHOLDER" : "", (unsigned)i);
		}
	}
	/* placeholders come from key, name and shape; the kit's come from the number and the alphabet, which is the same */
	for (k = 0; k < TWINS; k++)
		kit_build(&t->kit[k]);
	for (i = 0; i < n; i++)
		assert_true(span_eq(t->kit[0].entry[i].made, t->kit[1].entry[i].made));
}

static void twins_deinit(struct twins *t)
{
	size_t k;

	for (k = 0; k < TWINS; k++) {
		kit_deinit(&t->kit[k]);
		buf_deinit(&t->in[k]);
	}
}

/* The same random decisions for both, so the same spelling. Case of hex digits is left to chance: the engine must not show it. Numeric
 * references in decimal are not used: they have as many digits as the code point (documented). */
static void twins_occurrence(struct twins *t, size_t entry, uint64_t *random)
{
	uint64_t again = *random, hex_case[TWINS] = {*random + 1, *random * 3 + 7};
	unsigned kind = kit_random(random, 4), kinds = kit_random(random, 2) ? kit_random(random, 32) : 0, before, after;
	size_t i, k;

	again = *random;
	for (k = 0; k < TWINS; k++) {
		struct span v = t->kit[k].entry[entry].value;
		struct buf plain = {0};

		*random = again;
		switch (kind) {
		case 0:
		case 1:
			for (i = 0; i < v.len; i++)
				kit_spell(&t->in[k], v.p[i], kinds, random);
			break;
		case 2:
			kit_hex(&t->in[k], v, &hex_case[k]);
			break;
		default:
			before = kit_random(random, 3);
			after = kit_random(random, 3);
			for (i = 0; i < before; i++)
				buf_putc(&plain, (uint8_t)kit_random(random, 256));
			buf_append_span(&plain, v);
			if (kit_random(random, 2))
				buf_append_span(&plain, v);
			for (i = 0; i < after; i++)
				buf_putc(&plain, (uint8_t)kit_random(random, 256));
			kit_base64(&t->in[k], buf_span(&plain), kit_random(random, 2), kit_random(random, 2) ? 0 : 44, "\r\n", 0, random);
			break;
		}
		buf_deinit(&plain);
	}
	assert_int_equal(t->in[0].len, t->in[1].len);
}

/* The same bytes for both: noise, and beginnings of either's secrets. */
static void twins_noise(struct twins *t, uint64_t *random)
{
	static const char noise[] = " \n\"{}:,.-/+=%\\&#;abcXYZ0129";
	struct span v = t->kit[kit_random(random, TWINS)].entry[kit_random(random, (unsigned)t->kit[0].count)].value;
	struct buf common = {0};
	size_t i, k, n;

	if (kit_random(random, 3) == 0) {
		n = kit_random(random, (unsigned)v.len);
		for (i = 0; i < n; i++)
			kit_spell(&common, v.p[i], 0, random);
		buf_putc(&common, '!'); /* so that it does not go on as the whole by chance */
	} else {
		for (n = kit_random(random, 12); n; n--)
			buf_putc(&common, (uint8_t)noise[kit_random(random, sizeof(noise) - 1)]);
	}
	for (k = 0; k < TWINS; k++)
		buf_append_span(&t->in[k], buf_span(&common));
	buf_deinit(&common);
}

static void compare(struct twins *t, const struct rewrite_scope *scope, struct kit_cuts cuts, const char *how)
{
	struct buf out[TWINS] = {{0}}, trace[TWINS] = {{0}};
	enum rewrite_result r[TWINS];
	size_t k, consumed[TWINS];

	for (k = 0; k < TWINS; k++) {
		struct kit_cuts mine = cuts;

		mine.trace = &trace[k];
		r[k] = kit_feed(t->kit[k].rewriter, scope, buf_span(&t->in[k]), &mine, &out[k], NULL, &consumed[k]);
	}
	if (r[0] != r[1] || consumed[0] != consumed[1] || !span_eq(buf_span(&out[0]), buf_span(&out[1])) ||
	    !span_eq(buf_span(&trace[0]), buf_span(&trace[1]))) {
		for (k = 0; k < TWINS; k++)
			fprintf(stderr, "in %.*s\nout %.*s\nsteps %.*s\n", (int)t->in[k].len, t->in[k].p, (int)out[k].len, out[k].p, (int)trace[k].len,
			            trace[k].p);
		fail_msg("%s", how);
	}
	assert_int_equal(r[0], scope->decide ? r[0] : REWRITE_OK);
	for (k = 0; k < TWINS; k++) {
		buf_deinit(&out[k]);
		buf_deinit(&trace[k]);
	}
}

static enum rewrite_verdict stop_secrets(void *ctx, enum rewrite_match match, unsigned *entry)
{
	(void)ctx, (void)entry;
	return match == MATCH_SECRET ? REWRITE_STOP : REWRITE_KEEP;
}

static void run(unsigned rounds, size_t longest, const struct rewrite_scope *scope)
{
	unsigned i;
	size_t cut;

	for (i = 1; i <= rounds; i++) {
		uint64_t random = 0xa0761d6478bd642fu * i;
		static struct twins t;

		twins_init(&t, &random);
		while (t.in[0].len < longest) {
			twins_noise(&t, &random);
			if (kit_random(&random, 2))
				twins_occurrence(&t, kit_random(&random, (unsigned)t.kit[0].count), &random);
		}
		compare(&t, scope, (struct kit_cuts){.next = kit_fixed, .fixed = t.in[0].len}, "whole");
		for (cut = 1; cut <= t.in[0].len; cut += 1 + t.in[0].len / 200) {
			compare(&t, scope, (struct kit_cuts){.next = kit_first, .fixed = cut}, "one cut");
			compare(&t, scope, (struct kit_cuts){.next = kit_fixed, .fixed = cut, .room = 150}, "pieces and little room");
		}
		compare(&t, scope, (struct kit_cuts){.next = kit_any, .fixed = 60, .random = random}, "random cuts");
		twins_deinit(&t);
	}
}

static void responses__of_two_sets_of_one_shape__are_the_same_step_by_step(void **state)
{
	static const struct rewrite_scope scope = {.direction = REWRITE_RESPONSE};

	(void)state;
	run(150, 120, &scope);
}

static void responses__with_given_placeholders_in_json__are_the_same_step_by_step(void **state)
{
	static const struct rewrite_scope scope = {.direction = REWRITE_RESPONSE, .place = PLACE_JSON};

	(void)state;
	run(80, 200, &scope);
}

static void tripwire__of_two_sets_of_one_shape__stops_at_the_same_place(void **state)
{
	static const struct rewrite_scope scope = {.direction = REWRITE_REQUEST, .decide = stop_secrets};

	(void)state;
	run(150, 120, &scope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses__of_two_sets_of_one_shape__are_the_same_step_by_step),
		cmocka_unit_test(responses__with_given_placeholders_in_json__are_the_same_step_by_step),
		cmocka_unit_test(tripwire__of_two_sets_of_one_shape__stops_at_the_same_place),
	};

	return cmocka_run_group_tests_name("rewrite_twin", tests, NULL, NULL);
}
