/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Filling a sieve: the first windows of each pattern in each spelling.
 */
#include "rewrite_sieve.h"

enum {
	FEW = 2000,      /* patterns for which the longest step does not make too many windows */
	WIDTH_GOOD = 6,  /* narrower windows are found everywhere */
	SPARE = 8,       /* bits for each window */
	WORDS_MIN = 10,  /* log2 */
	WORDS_MAX = 16,  /* above it more are known by chance, and the cache is full */
	EITHER_MAX = 6,  /* characters of one window that base64url writes in another way */
	CHARS_MAX = SIEVE_STEP_MAX + SIEVE_WIDTH_MAX - 1,
};

static void know(struct sieve *s, uint64_t window)
{
	uint64_t h = sieve_hash(s, window);

	s->known[h >> s->shift] |= UINT64_C(1) << (h >> 32 & 63) | UINT64_C(1) << (h >> 38 & 63);
}

static uint64_t folded(uint8_t c, unsigned place)
{
	return (uint64_t)(c | 0x20) << 8 * place;
}

/* With each character that base64url writes in another way in both ways. */
static bool know_either(struct sieve *s, const uint8_t *chars)
{
	uint64_t window = sieve_window(chars), other[EITHER_MAX];
	unsigned n = 0, i, some;

	for (i = 0; i < s->width; i++) {
		if (chars[i] != '+' && chars[i] != '/')
			continue;
		if (n == EITHER_MAX)
			return false;
		other[n++] = folded(chars[i], i) ^ folded(chars[i] == '+' ? '-' : '_', i);
	}
	for (some = 0; some < 1u << n; some++) {
		uint64_t changed = window;

		for (i = 0; i < n; i++)
			if (some >> i & 1)
				changed ^= other[i];
		know(s, changed);
	}
	return true;
}

/* The characters that are known whole when the pattern begins at bit start_bit of one. There are no fewer of them than bytes. */
static void encode(uint8_t *chars, unsigned n, const struct pattern *p, unsigned start_bit)
{
	unsigned bit = start_bit ? 6 - start_bit : 0, i;

	for (i = 0; i < n; i++, bit += 6) {
		unsigned two = (unsigned)p->p[bit / 8] << 8 | (bit / 8 + 1 < p->len ? p->p[bit / 8 + 1] : 0);

		chars[i] = spelling_sextet_char(two >> (10 - bit % 8) & 63, false);
	}
}

static bool know_pattern(struct sieve *s, const struct pattern *p)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t chars[CHARS_MAX + SIEVE_WIDTH_MAX] = {0};
	unsigned n = s->step + s->width - 1, start_bit, i;

	memcpy(chars, p->p, n);
	for (i = 0; i < s->step; i++)
		know(s, sieve_window(chars + i));
	for (i = 0; i < n; i++)
		chars[i] = (uint8_t)digits[i % 2 ? p->p[i / 2] & 15 : p->p[i / 2] >> 4];
	for (i = 0; i < s->step; i++)
		know(s, sieve_window(chars + i));
	for (start_bit = 0; start_bit < 6; start_bit += 2) {
		bool either;

		encode(chars, n, p, start_bit);
		either = memchr(chars, '+', n) || memchr(chars, '/', n);
		for (i = 0; i < s->step; i++)
			if (!either)
				know(s, sieve_window(chars + i));
			else if (!know_either(s, chars + i))
				return false;
	}
	return true;
}

static void choose_sizes(struct sieve *s, size_t count)
{
	s->step = count <= FEW ? SIEVE_STEP_MAX : SIEVE_STEP_MAX / 2;
	while (s->step > 1 && s->shortest + 1 < s->step + WIDTH_GOOD)
		s->step /= 2;
	s->width = s->shortest + 1 - s->step;
	if (s->width > SIEVE_WIDTH_MAX)
		s->width = SIEVE_WIDTH_MAX;
	s->mask = ~UINT64_C(0) >> 8 * (SIEVE_WIDTH_MAX - s->width);
	s->back = s->step + s->width + SPELLING_UNIT_MAX; /* one more than the windows, in base64; and room for a line break */
}

static void note_bytes(struct sieve *s, const struct pattern *patterns, size_t count)
{
	size_t i, j;

	s->shortest = UINT32_MAX;
	for (i = 0; i < 256; i++)
		s->member[i] = spelling_sextet[i] != SPELLING_NO_SEXTET;
	for (i = 0; i < count; i++) {
		s->shortest = patterns[i].len < s->shortest ? patterns[i].len : s->shortest;
		for (j = 0; j < patterns[i].len; j++)
			s->member[patterns[i].p[j]] = 1;
	}
	s->space = s->member[' '];
}

const char *sieve_new(struct sieve **out, struct secret_arena *arena, const struct pattern *patterns, size_t count)
{
	unsigned words = WORDS_MIN;
	struct sieve *s;
	size_t i;

	s = secret_arena_alloc(arena, sizeof(*s));
	if (!s)
		return "the memory for secrets is full";
	note_bytes(s, patterns, count);
	if (count == 0 || s->shortest < SIEVE_SHORTEST)
		return NULL;
	choose_sizes(s, count);
	while (words < WORDS_MAX && (size_t)64 << words < count * 5 * s->step * SPARE)
		words++;
	s->shift = 64 - words;
	s->known = secret_arena_alloc(arena, sizeof(*s->known) << words);
	if (!s->known)
		return "the memory for secrets is full";
	for (i = 0; i < count; i++)
		if (!know_pattern(s, &patterns[i]))
			return NULL;
	*out = s;
	return NULL;
}
