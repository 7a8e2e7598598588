/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Texts that an opponent would choose: nanoseconds a byte at two lengths, which are the same when the time is linear.
 */
#include "bench.h"
#include "placeholder.h"
#include "rewrite.h"
#include "spelling.h"

enum { SECRETS = 32, VALUE_MAX = 110, SMALL = 1 << 18, LARGE = 1 << 20, ROUNDS = 3, SPARE = 256 };

struct set {
	struct placeholder_entry entry[SECRETS];
	struct rewrite_entry rewrite[SECRETS];
	uint8_t bytes[SECRETS][3][VALUE_MAX]; /* value, template, made */
	char name[SECRETS][8];
	unsigned count;
	struct rewriter *rewriter;
};

static void set_build(struct set *s)
{
	static const uint8_t key[KEY_BYTES] = {1};
	struct secret_arena *arena = secret_arena_new((size_t)16 << 20);
	const char *why = "arena";
	size_t culprit;

	for (unsigned i = 0; i < s->count; i++) {
		struct span value = span_str((const char *)s->bytes[i][0]);

		snprintf(s->name[i], sizeof(s->name[i]), "S%u", i);
		s->entry[i] = (struct placeholder_entry){.name = span_str(s->name[i]), .value = value, .made = s->bytes[i][2]};
		shape_of(&s->entry[i].shape, value, span_of(NULL, 0), s->bytes[i][1]);
	}
	if (!arena || placeholder_make_all(key, s->entry, s->count, &culprit) != 0)
		die("placeholders");
	for (unsigned i = 0; i < s->count; i++)
		s->rewrite[i] = (struct rewrite_entry){.name = s->name[i], .value = s->entry[i].value,
		                                       .made = span_of(s->bytes[i][2], s->entry[i].value.len), .shape = s->entry[i].shape};
	s->rewriter = rewriter_new(arena, s->rewrite, s->count, &why);
	if (!s->rewriter)
		die(why);
}

static uint8_t letter(void)
{
	uint8_t c;

	do
		c = spelling_sextet_char(below(64), false);
	while (c == '+' || c == '/');
	return c;
}

/* Random ones without a prefix; a…ab and a…ac. */
static void sets_make(struct set *plain, struct set *alike)
{
	plain->count = SECRETS;
	for (unsigned i = 0; i < SECRETS; i++)
		for (unsigned n = 20 + below(60), j = 0; j < n; j++)
			plain->bytes[i][0][j] = letter();
	alike->count = 2;
	memset(alike->bytes[0][0], 'a', 99);
	alike->bytes[0][0][99] = 'b';
	memset(alike->bytes[1][0], 'a', 50);
	alike->bytes[1][0][50] = 'c';
	set_build(plain);
	set_build(alike);
}

static double nanoseconds(const struct set *s, struct span text)
{
	struct rewrite_scope scope = {.direction = REWRITE_RESPONSE};
	double best = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct buf out = {0};
		struct rewrite_step step = {.in = text, .last = true, .out = &out};
		double began = now(), took;

		if (rewrite_feed(s->rewriter, &scope, &step, NULL) != REWRITE_OK)
			die("rewrite_feed");
		took = now() - began;
		best = i && best < took ? best : took;
		buf_deinit(&out);
	}
	return best * 1e9 / (double)text.len;
}

/* Writes the next few bytes at p and returns how many. */
typedef size_t text_fn(const struct set *s, uint8_t *p, size_t at);

static size_t all_a(const struct set *s, uint8_t *p, size_t at)
{
	(void)s, (void)at;
	*p = 'a';
	return 1;
}

static size_t percent_a(const struct set *s, uint8_t *p, size_t at)
{
	(void)s, (void)at;
	memcpy(p, "%61", 3);
	return 3;
}

static size_t beginnings(const struct set *s, uint8_t *p, size_t at)
{
	struct span v = s->entry[below(s->count)].value;
	size_t n = v.len / 2 + below((unsigned)v.len / 2);

	(void)at;
	memcpy(p, v.p, n);
	return n;
}

static size_t whole(const struct set *s, uint8_t *p, size_t at)
{
	struct span v = s->entry[below(s->count)].value;

	(void)at;
	memcpy(p, v.p, v.len);
	return v.len;
}

static size_t base64(const struct set *s, uint8_t *p, size_t at)
{
	(void)s, (void)at;
	*p = spelling_sextet_char(below(64), false);
	return 1;
}

/* Just so many plain bytes that windows have something to look at. */
static size_t odd_now_and_then(const struct set *s, uint8_t *p, size_t at)
{
	(void)s;
	*p = at % 41 == 40 ? '%' : 'a';
	return 1;
}

static size_t base64_lines(const struct set *s, uint8_t *p, size_t at)
{
	if (at % 77 == 76)
		*p = '\n';
	else
		base64(s, p, at);
	return 1;
}

static size_t base64_slashes(const struct set *s, uint8_t *p, size_t at)
{
	base64(s, p, at);
	if (*p != '/')
		return 1;
	memcpy(p, "\\/", 2);
	return 2;
}

static size_t percent(const struct set *s, uint8_t *p, size_t at)
{
	(void)s, (void)at;
	return (size_t)sprintf((char *)p, "%%%02X", letter());
}

static size_t utf16(const struct set *s, uint8_t *p, size_t at)
{
	(void)s, (void)at;
	p[0] = letter();
	p[1] = 0;
	return 2;
}

static size_t backslashes(const struct set *s, uint8_t *p, size_t at)
{
	(void)s, (void)at;
	*p = '\\';
	return 1;
}

static size_t zeros(const struct set *s, uint8_t *p, size_t at)
{
	(void)s, (void)at;
	*p = 0;
	return 1;
}

int main(void)
{
	static const struct { const char *name; bool alike; text_fn *text; } cases[] = {
		{"a, patterns a...b", true, all_a}, {"%61, patterns a...b", true, percent_a}, {"beginnings of secrets", false, beginnings},
		{"secrets back to back", false, whole},
		{"a", false, all_a}, {"a, an escape in 41", false, odd_now_and_then}, {"base64", false, base64}, {"base64 in lines", false, base64_lines}, {"base64 with \\/", false, base64_slashes},
		{"all percent-encoded", false, percent}, {"UTF-16", false, utf16}, {"backslashes", false, backslashes}, {"zero bytes", false, zeros},
	};
	static struct set plain, alike;
	uint8_t *text = malloc(LARGE + SPARE);

	if (!text)
		die("out of memory");
	sets_make(&plain, &alike);
	printf("%-24s %10s %10s\n", "ns a byte", "256 KiB", "1 MiB");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct set *s = cases[i].alike ? &alike : &plain;

		for (size_t n = 0; n < LARGE;)
			n += cases[i].text(s, text + n, n);
		printf("%-24s %10.2f %10.2f\n", cases[i].name, nanoseconds(s, span_of(text, SMALL)), nanoseconds(s, span_of(text, LARGE)));
	}
	free(text);
	return 0;
}
