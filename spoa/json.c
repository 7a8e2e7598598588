/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json.h"

/* Length of the UTF-8 sequence at the front of s; 0 when it is none (overlong forms, surrogates, above U+10FFFF). */
static size_t utf8_length(struct span s)
{
	uint8_t c = s.p[0], low = 0x80, high = 0xbf;
	size_t len;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		len = 2;
	else if (c >= 0xe0 && c <= 0xef)
		len = 3;
	else if (c >= 0xf0 && c <= 0xf4)
		len = 4;
	else
		return 0;
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	if (len > s.len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (s.p[i] < low || s.p[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return len;
}

int json_string(struct buf *out, struct span s)
{
	size_t mark = out->len;
	int rc = buf_putc(out, '"');

	while (s.len && rc == 0) {
		size_t len = utf8_length(s);
		uint8_t c = s.p[0];

		if (len == 0) {
			rc = buf_append(out, "\xef\xbf\xbd", 3);
			len = 1;
		} else if (c == '"' || c == '\\') {
			rc = buf_printf(out, "\\%c", c);
		} else if (c < 0x20 || c == 0x7f) {
			rc = buf_printf(out, "\\u%04x", c);
		} else {
			rc = buf_append(out, s.p, len);
		}
		s.p += len;
		s.len -= len;
	}
	if (rc == 0)
		rc = buf_putc(out, '"');
	if (rc < 0)
		out->len = mark;
	return rc;
}

static void skip_space(struct span *rest)
{
	while (rest->len && (rest->p[0] == ' ' || rest->p[0] == '\t' || rest->p[0] == '\n' || rest->p[0] == '\r')) {
		rest->p++;
		rest->len--;
	}
}

static bool take_char(struct span *rest, uint8_t c)
{
	skip_space(rest);
	if (rest->len == 0 || rest->p[0] != c)
		return false;
	rest->p++;
	rest->len--;
	return true;
}

static int take_string(struct span *rest, struct span *out)
{
	if (!take_char(rest, '"'))
		return -1;
	for (size_t i = 0; i < rest->len; i++) {
		if (rest->p[i] == '"') {
			*out = span_of(rest->p, i);
			*rest = span_of(rest->p + i + 1, rest->len - i - 1);
			return 0;
		}
		if (rest->p[i] == '\\')
			i++;
	}
	return -1;
}

static int take_literal(struct span *rest, struct span *out)
{
	size_t i = 0;

	while (i < rest->len && (strchr("+-.", rest->p[i]) || (rest->p[i] >= '0' && rest->p[i] <= '9') ||
	                         (rest->p[i] >= 'a' && rest->p[i] <= 'z') || rest->p[i] == 'E') && rest->p[i])
		i++;
	*out = span_of(rest->p, i);
	*rest = span_of(rest->p + i, rest->len - i);
	return i ? 0 : -1;
}

/* '{' or ',' stands before each member; the caller's *rest tells where we are. */
int json_next(struct json_member *m, struct span *rest)
{
	skip_space(rest);
	if (take_char(rest, '{')) {
		if (take_char(rest, '}'))
			return 0;
	} else if (take_char(rest, '}')) {
		return 0;
	} else if (!take_char(rest, ',')) {
		return -1;
	}
	if (take_string(rest, &m->key) < 0 || !take_char(rest, ':'))
		return -1;
	skip_space(rest);
	m->is_string = rest->len && rest->p[0] == '"';
	return (m->is_string ? take_string(rest, &m->value) : take_literal(rest, &m->value)) < 0 ? -1 : 1;
}

static int hex4(struct span s, uint32_t *v)
{
	*v = 0;
	if (s.len < 4)
		return -1;
	for (unsigned i = 0; i < 4; i++) {
		uint8_t c = s.p[i];

		*v <<= 4;
		if (c >= '0' && c <= '9')
			*v |= c - '0';
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			*v |= (c | 32) - 'a' + 10u;
		else
			return -1;
	}
	return 0;
}

static int put_utf8(struct buf *out, uint32_t v)
{
	uint8_t b[4];

	if (v < 0x80)
		return buf_putc(out, (uint8_t)v);
	if (v < 0x800) {
		b[0] = (uint8_t)(0xc0 | v >> 6);
		b[1] = (uint8_t)(0x80 | (v & 0x3f));
		return buf_append(out, b, 2);
	}
	if (v < 0x10000) {
		b[0] = (uint8_t)(0xe0 | v >> 12);
		b[1] = (uint8_t)(0x80 | (v >> 6 & 0x3f));
		b[2] = (uint8_t)(0x80 | (v & 0x3f));
		return buf_append(out, b, 3);
	}
	b[0] = (uint8_t)(0xf0 | v >> 18);
	b[1] = (uint8_t)(0x80 | (v >> 12 & 0x3f));
	b[2] = (uint8_t)(0x80 | (v >> 6 & 0x3f));
	b[3] = (uint8_t)(0x80 | (v & 0x3f));
	return buf_append(out, b, 4);
}

/* After \u: one code unit, or a surrogate pair; a lone surrogate becomes U+FFFD. */
static int unescape_u(struct buf *out, struct span *s)
{
	uint32_t v, low;

	if (hex4(*s, &v) < 0)
		return -1;
	*s = span_of(s->p + 4, s->len - 4);
	if (v >= 0xd800 && v < 0xdc00 && s->len >= 6 && s->p[0] == '\\' && s->p[1] == 'u' &&
	    hex4(span_of(s->p + 2, s->len - 2), &low) == 0 && low >= 0xdc00 && low < 0xe000) {
		*s = span_of(s->p + 6, s->len - 6);
		v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
	} else if (v >= 0xd800 && v < 0xe000) {
		v = 0xfffd;
	}
	return put_utf8(out, v);
}

int json_unescape(struct buf *out, struct span s)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";

	while (s.len) {
		uint8_t c = s.p[0];
		const char *name;
		int rc;

		s = span_of(s.p + 1, s.len - 1);
		if (c != '\\') {
			rc = buf_putc(out, c);
		} else {
			if (s.len == 0)
				return -1;
			c = s.p[0];
			s = span_of(s.p + 1, s.len - 1);
			name = c ? strchr(names, c) : NULL;
			rc = c == 'u' ? unescape_u(out, &s) : name ? buf_putc(out, (uint8_t)values[name - names]) : -1;
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}
