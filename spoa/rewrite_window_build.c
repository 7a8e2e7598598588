/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Choosing the windows of patterns, and filling the table with them.
 */
#include <limits.h>
#include <sys/random.h>

#include "rewrite_window.h"

enum {
	ROW = WINDOW_STEP - 1,
	/* Bytes of a pattern that a window holds whole, and that all windows of a row lie in, whatever the bit offset: as text, as base64. Hex takes no more. */
	TEXT_BYTES = WINDOW_CHARS_WIDTH,
	TEXT_ROW = TEXT_BYTES + ROW,
	CODED_BYTES = 6 * WINDOW_CHARS_WIDTH / 8 - 1,
	CODED_ROW = (5 + 6 * (WINDOW_CHARS_WIDTH + ROW) + 7) / 8,
	ROW_BEGINS_MAX = WINDOW_BLOCK / 8, /* so that a block holds more than what decides about one beginning */
	SPARE = 16,     /* bits of the table for each window */
	PER_PATTERN = WINDOW_STEP * 5, /* text, hex, base64 at three bit offsets: add() */
	CHARS_MAX = WINDOW_HEX_WIDTH + ROW + 1, /* of a row, in whole bytes of hex */
	WORDS_MIN = 8,  /* log2 */
	WORDS_MAX = 16, /* above it the cache is full */
};

_Static_assert(WINDOW_HEX_WIDTH / 2 - 1 >= CODED_BYTES && (CHARS_MAX + 1) / 2 <= CODED_ROW, "hex windows lie in the row of base64's and tell no more");
_Static_assert(WINDOW_CHARS_WIDTH + ROW <= CHARS_MAX, "a row of any coding fits");

/* Sixteenths of a bit in a folded byte of the alphabet. */
static const unsigned alphabet_bits[SHAPE_ALPHABETS] = {[SHAPE_DIGIT] = 53,  [SHAPE_HEX_LOWER] = 64, [SHAPE_HEX_UPPER] = 64,
                                                        [SHAPE_LOWER] = 75, [SHAPE_UPPER] = 75,     [SHAPE_ALNUM] = 82};

/* Sixteenths of a bit that are not public in p[at..at + n). A given placeholder is public, so there is nothing to be guessed. */
static unsigned bits_in(const struct pattern *p, const struct rewrite_entry *e, size_t at, size_t n)
{
	unsigned bits = 0;

	if (p->match == MATCH_GIVEN)
		return UINT16_MAX;
	for (; n--; at++)
		bits += e->shape.template_[p->offset + at] ? 0 : alphabet_bits[e->shape.alphabet];
	return bits;
}

/* Of the windows in a row, the one with the fewest, or with `few` or fewer. */
static unsigned fewest_bits(const struct pattern *p, const struct rewrite_entry *e, size_t at, size_t row, size_t window, unsigned few)
{
	unsigned fewest = UINT_MAX;

	for (size_t i = at; i + window <= at + row && fewest > few; i++) {
		unsigned bits = bits_in(p, e, i, window);

		fewest = bits < fewest ? bits : fewest;
	}
	return fewest;
}

/* The first byte of the row of so many bytes whose windows tell least; p->len: each would tell too much. */
static size_t choose(const struct pattern *p, const struct rewrite_entry *e, size_t row, size_t window)
{
	const unsigned all = (unsigned)window * alphabet_bits[e->shape.alphabet];
	unsigned most = 16 * WINDOW_BITS_MIN - 1;
	size_t best = p->len, at;

	for (at = 0; at + row <= p->len && at < ROW_BEGINS_MAX && most < all; at++) {
		unsigned bits = fewest_bits(p, e, at, row, window, most);

		if (bits > most) {
			most = bits;
			best = at;
		}
	}
	return best;
}

static void know(struct windows *w, const uint8_t *chars, enum window_coding coding)
{
	uint8_t folded[CHARS_MAX];
	unsigned i, width = window_width(coding);

	if (!w->known)
		return;
	for (i = 0; i < width + ROW; i++)
		folded[i] = window_fold(chars[i]);
	for (i = 0; i < WINDOW_STEP; i++) {
		uint64_t hash = window_hash(w, folded + i, coding);

		w->known[hash >> w->shift] |= window_bits(hash);
	}
	explicit_bzero(folded, sizeof(folded));
}

static void note_reach(struct windows *w, size_t first, enum window_coding coding)
{
	size_t end = first + ROW + window_width(coding);

	w->back = first > w->back ? first : w->back;
	w->reach = end > w->reach ? end : w->reach;
}

static void know_text(struct windows *w, const struct pattern *p, size_t at)
{
	know(w, p->p + at, WINDOW_CHARS);
	note_reach(w, at, WINDOW_CHARS);
}

static void know_hex(struct windows *w, const struct pattern *p, size_t at)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t chars[CHARS_MAX] = {0};

	for (size_t i = 0; i < sizeof(chars) / 2 && at + i < p->len; i++) {
		chars[2 * i] = (uint8_t)digits[p->p[at + i] >> 4];
		chars[2 * i + 1] = (uint8_t)digits[p->p[at + i] & 15];
	}
	know(w, chars, WINDOW_HEX);
	explicit_bzero(chars, sizeof(chars));
	note_reach(w, 2 * at, WINDOW_HEX);
}

/* The pattern begins at bit start_bit of a character. */
static void know_base64(struct windows *w, const struct pattern *p, size_t at, unsigned start_bit)
{
	size_t first = (8 * at + start_bit + 5) / 6, i;
	uint8_t chars[CHARS_MAX];

	for (i = 0; i < window_width(WINDOW_CHARS) + ROW; i++) {
		size_t bit = 6 * (first + i) - start_bit;
		unsigned two = (unsigned)p->p[bit / 8] << 8 | (bit / 8 + 1 < p->len ? p->p[bit / 8 + 1] : 0);

		chars[i] = spelling_sextet_char(two >> (10 - bit % 8) & 63, false);
	}
	know(w, chars, WINDOW_CHARS);
	explicit_bzero(chars, sizeof(chars));
	note_reach(w, first, WINDOW_CHARS);
}

static void choose_rows(struct pattern *p, const struct rewrite_entry *e)
{
	size_t text = choose(p, e, TEXT_ROW, TEXT_BYTES), coded = choose(p, e, CODED_ROW, CODED_BYTES);

	p->windows = text < p->len && coded < p->len;
	p->text_row = (uint8_t)text;
	p->coded_row = (uint8_t)coded;
}

/* Without a table it only finds out how far windows reach. */
static void add(struct windows *w, const struct pattern *p)
{
	if (!p->windows)
		return;
	know_text(w, p, p->text_row);
	know_hex(w, p, p->coded_row);
	for (unsigned start_bit = 0; start_bit < 6; start_bit += 2)
		know_base64(w, p, p->coded_row, start_bit);
	if (memchr(p->p, ' ', p->len))
		w->plus = '+';
}

const char *windows_new(struct windows **out, struct secret_arena *arena, struct pattern *patterns, size_t count,
                        const struct rewrite_entry *entries)
{
	struct windows w = {.known = NULL};
	unsigned words = WORDS_MIN;
	size_t added = 0, i;

	for (i = 0; i < count; i++) {
		choose_rows(&patterns[i], &entries[patterns[i].entry]);
		add(&w, &patterns[i]);
		added += patterns[i].windows;
	}
	if (!added)
		return NULL;
	while (words < WORDS_MAX && (size_t)64 << words < added * PER_PATTERN * SPARE)
		words++;
	w.shift = 64 - words;
	w.known = secret_arena_alloc(arena, sizeof(*w.known) << words);
	*out = secret_arena_alloc(arena, sizeof(**out));
	if (!w.known || !*out)
		return "the memory for secrets is full";
	if (getrandom(w.key, sizeof(w.key), 0) != (ssize_t)sizeof(w.key))
		return "there are no random numbers";
	for (i = 0; i < count; i++)
		add(&w, &patterns[i]);
	**out = w;
	return NULL;
}
