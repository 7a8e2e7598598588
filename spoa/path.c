/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "path.h"

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte at p[*i], percent-decoded once; *i moves behind it. A stray % is itself. */
static uint8_t decode_at(struct span s, size_t *i, bool *encoded)
{
	uint8_t c = s.p[*i];
	int high, low;

	*encoded = false;
	if (c == '%' && s.len - *i >= 3 && (high = nibble(s.p[*i + 1])) >= 0 && (low = nibble(s.p[*i + 2])) >= 0) {
		*i += 3;
		*encoded = true;
		return (uint8_t)(high << 4 | low);
	}
	*i += 1;
	return c;
}

/* Would a server that decodes once more, or cuts parameters off a segment, or trims blanks, take this segment for `..`? */
static bool looks_like_parent(struct span segment)
{
	size_t i = 0, dots = 0;

	while (i < segment.len) {
		bool encoded;
		uint8_t c = decode_at(segment, &i, &encoded);

		/* %2525…2e: peel all layers */
		while (encoded && c == '%' && segment.len - i >= 2 && segment.p[i] == '2' && segment.p[i + 1] == '5')
			i += 2;
		if (encoded && c == '%' && segment.len - i >= 2 && nibble(segment.p[i]) == 2 && nibble(segment.p[i + 1]) == 14) {
			c = '.';
			i += 2;
		}
		if (c == ';')
			break;
		if (c == '.')
			dots++;
		else if (c > ' ')
			return false;
	}
	return dots == 2;
}

/* Takes the last segment of out[0..*len), which ends in a slash: "/a/b/" becomes "/a/". */
static enum path_result pop_segment(const char *out, size_t *len)
{
	size_t n = *len - 1;

	/* at the root, and behind an empty segment, servers go to different places */
	if (n == 0 || out[n - 1] == '/')
		return PATH_CLIMBS;
	while (out[n - 1] != '/')
		n--;
	*len = n;
	return PATH_OK;
}

/* out[start..*len) is a whole segment behind a slash. *gone: it was a dot segment and is not there any more. */
static enum path_result end_segment(const char *out, size_t start, size_t *len, bool *gone, bool *dotted)
{
	struct span segment = span_of(out + start, *len - start);

	*gone = span_is(segment, ".") || span_is(segment, "..");
	if (!*gone)
		return looks_like_parent(segment) ? PATH_CLIMBS : PATH_OK;
	*len = start;
	if (segment.len == 1)
		return PATH_OK;
	*dotted = true;
	return pop_segment(out, len);
}

enum path_result path_normalize(struct span raw, enum path_view view, char *out, size_t *len, bool *dotted)
{
	size_t i = 1, start = 1, n = 1;
	enum path_result rc;
	bool encoded, gone;

	*len = 0;
	if (raw.len == 0 || raw.len > PATH_MAX_BYTES || raw.p[0] != '/')
		return PATH_INVALID;
	out[0] = '/';
	while (i < raw.len) {
		uint8_t c = decode_at(raw, &i, &encoded);

		if (c == 0)
			return PATH_INVALID;
		if (view == PATH_LITERAL && c == '/' && encoded) {
			memcpy(out + n, "%2F", 3); /* so that it equals no real separator */
			n += 3;
		} else if (c != '/' && (c != '\\' || view == PATH_LITERAL)) {
			out[n++] = (char)c;
		} else {
			rc = end_segment(out, start, &n, &gone, dotted);
			if (rc != PATH_OK)
				return rc;
			if (!gone)
				out[n++] = '/';
			start = n;
		}
	}
	rc = end_segment(out, start, &n, &gone, dotted);
	if (rc == PATH_OK)
		*len = n;
	return rc;
}

bool path_under(struct span path, struct span prefix)
{
	if (prefix.len == 0 || path.len < prefix.len || memcmp(path.p, prefix.p, prefix.len) != 0)
		return false;
	return prefix.p[prefix.len - 1] == '/' || path.len == prefix.len || path.p[prefix.len] == '/';
}
