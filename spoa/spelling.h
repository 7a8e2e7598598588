/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Units: the byte sequences that spell one byte. Pure, no secret; shared by the engine and by what judges by shapes.
 *
 *   raw       any byte spells itself
 *   json      \" \\ \/ \b \f \n \r \t \uXXXX      percent  %XX
 *   html      &#65; &#x41; (8 bytes at most) &amp; &lt; &gt; &quot; &apos;
 *   plus      + spells a space, as in forms
 *   utf-16    one zero byte behind (little endian) or before (big endian) the byte
 *   double    a json, percent or html unit whose own characters are escaped once more, 12 bytes at most: \\u0041 %2541 \&quot;
 * Only bytes 1..127 have a \u or html unit.
 */
#ifndef SLAPENIR_SPELLING_H
#define SLAPENIR_SPELLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPELLING_UNIT_MAX = 12, SPELLING_UNITS_AT = 3 };

enum spelling_kind {
	SPELLING_JSON = 1,
	SPELLING_PERCENT = 2,
	SPELLING_HTML = 4,
	SPELLING_PLUS = 8,
	SPELLING_UTF16 = 16,
};

struct unit {
	uint8_t byte; /* what it spells */
	uint8_t len;  /* 2..SPELLING_UNIT_MAX; 1 only for plus */
	uint8_t kind; /* SPELLING_ bits; a double unit has those of both levels */
};

/* The units at p other than raw, at most SPELLING_UNITS_AT of them, no two of the same length. *partial: the bytes end inside what
 * could become a unit. p < end. */
unsigned spelling_units(const uint8_t *p, const uint8_t *end, struct unit *out, bool *partial);

/* May a byte begin a unit other than raw? (A zero byte behind makes any byte one, too.) */
extern const uint8_t spelling_intro[256];

/* Writes the unit at p[0..u->len) anew so that it spells `byte`: kind and length stay, hex digits get one fixed case. false: it cannot (a
 * two-byte JSON escape of a letter, a decimal reference that is too short); nothing is changed then. */
bool spelling_respell(uint8_t *p, const struct unit *u, uint8_t byte);

/* 0..63, or SPELLING_NO_SEXTET; both alphabets. */
enum { SPELLING_NO_SEXTET = 64 };
extern const uint8_t spelling_sextet[256];
uint8_t spelling_sextet_char(unsigned value, bool url);

/* 0..15, or 16. */
extern const uint8_t spelling_nibble[256];

/* Length of the line break at p that may stand inside base64: LF, CRLF, or those JSON-escaped once or twice; 0: none. */
unsigned spelling_wrap(const uint8_t *p, const uint8_t *end, bool *partial);

/* Does a byte go on with the current base64 line (its characters, and those that escape them)? */
static inline bool spelling_in_line(uint8_t c)
{
	return spelling_sextet[c] != SPELLING_NO_SEXTET || c == '\\' || c == '%' || c == '&' || c == '#' || c == ';';
}

#endif
