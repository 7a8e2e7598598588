/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spelling.h"

#include <string.h>

enum { NONE, FOUND, PARTIAL };
enum { INNER_MAX = 8 }; /* characters of the longest single unit */

#define X16 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16
const uint8_t spelling_nibble[256] = {
	X16, X16, X16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 16, 16, 16, 16, 16, 16, 10, 11, 12, 13, 14, 15, 16, 16, 16, 16, 16, 16, 16, 16, 16,
	X16, 16, 10, 11, 12, 13, 14, 15, 16, 16, 16, 16, 16, 16, 16, 16, 16, X16, X16, X16, X16, X16, X16, X16, X16, X16,
};
#undef X16

#define X16 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64
const uint8_t spelling_sextet[256] = {
	X16, X16, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 62, 64, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64,
	64, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 63,
	64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
	X16, X16, X16, X16, X16, X16, X16, X16,
};
#undef X16

const uint8_t spelling_intro[256] = {[0] = 1, ['\\'] = 1, ['%'] = 1, ['&'] = 1, ['+'] = 1};

uint8_t spelling_sextet_char(unsigned value, bool url)
{
	static const uint8_t alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if (url && value >= 62)
		return value == 62 ? '-' : '_';
	return alphabet[value];
}

static int found(struct unit *u, unsigned byte, size_t len, unsigned kind)
{
	*u = (struct unit){.byte = (uint8_t)byte, .len = (uint8_t)len, .kind = (uint8_t)kind};
	return FOUND;
}

static const char json_short[] = "\"\\/bfnrt", json_meaning[] = "\"\\/\b\f\n\r\t";

static int parse_json(const uint8_t *p, size_t n, struct unit *u)
{
	unsigned value = 0;
	const char *s;
	size_t i;

	if (n < 2)
		return PARTIAL;
	s = p[1] ? strchr(json_short, p[1]) : NULL;
	if (s)
		return found(u, (uint8_t)json_meaning[s - json_short], 2, SPELLING_JSON);
	if (p[1] != 'u')
		return NONE;
	for (i = 2; i < 6; i++) {
		if (i == n)
			return PARTIAL;
		if (spelling_nibble[p[i]] > 15 || (i < 4 && p[i] != '0') || (i == 4 && spelling_nibble[p[i]] > 7))
			return NONE;
		value = value << 4 | spelling_nibble[p[i]];
	}
	return value ? found(u, value, 6, SPELLING_JSON) : NONE;
}

static int parse_percent(const uint8_t *p, size_t n, struct unit *u)
{
	unsigned value;

	if (n < 2)
		return PARTIAL;
	if (spelling_nibble[p[1]] > 15)
		return NONE;
	if (n < 3)
		return PARTIAL;
	if (spelling_nibble[p[2]] > 15)
		return NONE;
	value = (unsigned)spelling_nibble[p[1]] << 4 | spelling_nibble[p[2]];
	return value ? found(u, value, 3, SPELLING_PERCENT) : NONE;
}

static int parse_html_number(const uint8_t *p, size_t n, struct unit *u)
{
	unsigned value = 0, base = 10;
	size_t i = 2, first;

	if (n > 2 && (p[2] | 0x20) == 'x') {
		base = 16;
		i++;
	}
	for (first = i; i < 8; i++) {
		if (i == n)
			return PARTIAL;
		if (p[i] == ';')
			break;
		if (spelling_nibble[p[i]] >= base)
			return NONE;
		value = value * base + spelling_nibble[p[i]];
	}
	if (i == 8 || i == first || value == 0 || value > 127)
		return NONE;
	return found(u, value, i + 1, SPELLING_HTML);
}

static const struct {
	char text[8];
	uint8_t len, byte;
} html_names[] = {{"&amp;", 5, '&'}, {"&lt;", 4, '<'}, {"&gt;", 4, '>'}, {"&quot;", 6, '"'}, {"&apos;", 6, '\''}};

static int parse_html(const uint8_t *p, size_t n, struct unit *u)
{
	int result = NONE;
	size_t i;

	if (n < 2)
		return PARTIAL;
	if (p[1] == '#')
		return parse_html_number(p, n, u);
	for (i = 0; i < sizeof(html_names) / sizeof(html_names[0]); i++) {
		size_t len = html_names[i].len;

		if (memcmp(p, html_names[i].text, n < len ? n : len) != 0)
			continue;
		if (n >= len)
			return found(u, html_names[i].byte, len, SPELLING_HTML);
		result = PARTIAL;
	}
	return result;
}

static int parse_single(const uint8_t *p, size_t n, struct unit *u)
{
	switch (*p) {
	case '\\':
		return parse_json(p, n, u);
	case '%':
		return parse_percent(p, n, u);
	case '&':
		return parse_html(p, n, u);
	default:
		return NONE;
	}
}

/* The characters of a double unit, each raw or a single unit, taken greedily as a decoder of the outer level would. */
struct inner {
	uint8_t byte[INNER_MAX];
	struct unit unit[INNER_MAX]; /* len 1, kind 0: raw */
	unsigned count;
	bool cut; /* the input ended before the characters did */
};

static void inner_read(struct inner *in, const uint8_t *p, size_t n)
{
	size_t at = 0;

	in->count = 0;
	in->cut = false;
	while (in->count < INNER_MAX && at < SPELLING_UNIT_MAX) {
		struct unit *u = &in->unit[in->count];
		int r;

		r = at < n ? parse_single(p + at, n - at, u) : PARTIAL;
		if (r == PARTIAL) {
			in->cut = true;
			return;
		}
		if (r == NONE)
			*u = (struct unit){.byte = p[at], .len = 1};
		in->byte[in->count++] = u->byte;
		at += u->len;
	}
}

static int parse_double(const uint8_t *p, size_t n, struct unit *u)
{
	unsigned i, kinds = 0;
	struct inner in;
	size_t len = 0;
	int r;

	inner_read(&in, p, n);
	if (in.count == 0)
		return in.cut ? PARTIAL : NONE;
	r = parse_single(in.byte, in.count, u);
	if (r == PARTIAL)
		return in.cut ? PARTIAL : NONE;
	if (r == NONE)
		return NONE;
	for (i = 0; i < u->len; i++) {
		len += in.unit[i].len;
		kinds |= in.unit[i].kind;
	}
	if (!kinds || len > SPELLING_UNIT_MAX)
		return NONE;
	return found(u, u->byte, len, u->kind | kinds);
}

unsigned spelling_units(const uint8_t *p, const uint8_t *end, struct unit *out, bool *partial)
{
	size_t n = (size_t)(end - p);
	unsigned count = 0;
	int r;

	if (*p == 0) {
		if (n < 2)
			*partial = true;
		else if (p[1])
			found(&out[count++], p[1], 2, SPELLING_UTF16);
		return count;
	}
	if (n > 1 && p[1] == 0)
		found(&out[count++], *p, 2, SPELLING_UTF16);
	if (!spelling_intro[*p])
		return count;
	if (*p == '+') {
		found(&out[count++], ' ', 1, SPELLING_PLUS);
		return count;
	}
	r = parse_single(p, n, &out[count]);
	count += r == FOUND;
	*partial |= r == PARTIAL;
	r = parse_double(p, n, &out[count]);
	count += r == FOUND;
	*partial |= r == PARTIAL;
	return count;
}

static void write_hex(uint8_t *p, unsigned value, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	p[0] = (uint8_t)digits[value >> 4];
	p[1] = (uint8_t)digits[value & 15];
}

static bool respell_html(uint8_t *p, size_t len, uint8_t byte)
{
	unsigned value = byte;
	size_t i;

	if (byte > 127 || p[1] != '#') /* named: public bytes only, which stay */
		return false;
	if ((p[2] | 0x20) == 'x') {
		if (len < 6)
			return false;
		memset(p + 3, '0', len - 4);
		write_hex(p + len - 3, value, false);
		return true;
	}
	if ((value > 99 && len < 6) || (value > 9 && len < 5))
		return false;
	for (i = len - 2; i >= 2; i--, value /= 10)
		p[i] = (uint8_t)('0' + value % 10);
	return true;
}

static bool respell_single(uint8_t *p, size_t len, uint8_t byte)
{
	switch (*p) {
	case '\\':
		if (len != 6 || byte > 127)
			return false;
		write_hex(p + 4, byte, false);
		return true;
	case '%':
		write_hex(p + 1, byte, true);
		return true;
	default:
		return respell_html(p, len, byte);
	}
}

static bool respell_double(uint8_t *p, const struct unit *u, uint8_t byte)
{
	uint8_t room[SPELLING_UNIT_MAX];
	struct unit outer;
	struct inner in;
	size_t at = 0;
	unsigned i;

	inner_read(&in, p, u->len);
	if (in.count == 0 || parse_single(in.byte, in.count, &outer) != FOUND || !respell_single(in.byte, outer.len, byte))
		return false;
	memcpy(room, p, u->len);
	for (i = 0; i < outer.len; i++) {
		if (in.unit[i].kind == 0)
			room[at] = in.byte[i];
		else if (in.byte[i] != in.unit[i].byte && !respell_single(room + at, in.unit[i].len, in.byte[i]))
			return false;
		at += in.unit[i].len;
	}
	memcpy(p, room, u->len);
	return true;
}

bool spelling_respell(uint8_t *p, const struct unit *u, uint8_t byte)
{
	struct unit single;

	if (u->kind == SPELLING_UTF16) {
		p[*p == 0] = byte;
		return true;
	}
	if (u->kind == SPELLING_PLUS)
		return byte == ' ';
	if (parse_single(p, u->len, &single) == FOUND && single.len == u->len)
		return respell_single(p, u->len, byte);
	return respell_double(p, u, byte);
}

unsigned spelling_wrap(const uint8_t *p, const uint8_t *end, bool *partial)
{
	static const char *const breaks[] = {"\n", "\r\n", "\\n", "\\r\\n", "\\\\n", "\\\\r\\\\n"};
	size_t n = (size_t)(end - p), i;

	if (*p != '\n' && *p != '\r' && *p != '\\')
		return 0;
	for (i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		size_t len = strlen(breaks[i]);

		if (memcmp(p, breaks[i], n < len ? n : len) != 0)
			continue;
		if (n >= len)
			return (unsigned)len;
		*partial = true;
	}
	return 0;
}
