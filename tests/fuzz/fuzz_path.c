/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The path normaliser against a naive one that splits into segments, and the canonical form of host names, which must be its own.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "hostname.h"
#include "path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static int digit(uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Decoded once, separators turned into slashes, then a stack of segments. The length, or 0 where the real one must not say OK. */
static size_t naive(const uint8_t *p, size_t size, char *out)
{
	char *text = malloc(size + 2), *segment[4096];
	size_t n = 0, depth = 0, length[4096], len = 0;

	for (size_t i = 0; i < size; i++) {
		uint8_t c = p[i];

		if (c == '%' && i + 2 < size && digit(p[i + 1]) >= 0 && digit(p[i + 2]) >= 0) {
			c = (uint8_t)(digit(p[i + 1]) * 16 + digit(p[i + 2]));
			i += 2;
		}
		text[n++] = (char)(c == '\\' ? '/' : c);
	}
	for (size_t start = 1; start <= n && depth < 4095;) {
		size_t end = start;
		int last;

		while (end < n && text[end] != '/')
			end++;
		last = end == n;
		if (end - start == 2 && memcmp(text + start, "..", 2) == 0) {
			if (depth == 0 || length[depth - 1] == 0)
				goto refused;
			depth--;
			if (last)
				segment[depth] = text, length[depth++] = 0;
		} else if (end - start == 1 && text[start] == '.') {
			if (last)
				segment[depth] = text, length[depth++] = 0;
		} else {
			segment[depth] = text + start;
			length[depth++] = end - start;
		}
		start = end + 1;
	}
	for (size_t i = 0; i < depth; i++) {
		out[len++] = '/';
		memcpy(out + len, segment[i], length[i]);
		len += length[i];
	}
refused:
	free(text);
	return len;
}

static void path(const uint8_t *data, size_t size)
{
	static char out[PATH_MAX_BYTES + 1], literal[PATH_MAX_BYTES + 1], model[PATH_MAX_BYTES + 2];
	uint8_t *raw = malloc(size + 1); /* so that a read behind its end is seen */
	bool dotted = false;
	size_t len, more;

	memcpy(raw, data, size);
	if (path_normalize(span_of(raw, size), PATH_SEPARATED, out, &len, &dotted) == PATH_OK) {
		must(len >= 1 && len <= size && out[0] == '/' && !memchr(out, '\\', len));
		if (size < 4000)
			must(naive(raw, size, model) == len && memcmp(model, out, len) == 0);
		must(path_under(span_of(out, len), span_str("/")) && path_under(span_of(out, len), span_of(out, len)));
	}
	if (path_normalize(span_of(raw, size), PATH_LITERAL, literal, &more, &dotted) == PATH_OK)
		must(more <= size && literal[0] == '/');
	free(raw);
}

static void host(const uint8_t *data, size_t size)
{
	struct hostname h, again, wildcard;
	const char *why = NULL;

	if (hostname_parse(&h, span_of(data, size), 443, true, &why) < 0) {
		must(why != NULL);
		return;
	}
	must(hostname_parse(&again, span_str(h.text), 1, true, &why) == 0 && strcmp(again.text, h.text) == 0);
	if (hostname_wildcard(&h, &wildcard) && hostname_parse(&again, span_str(wildcard.text), 1, true, &why) == 0)
		must(again.wildcard && strcmp(again.text, wildcard.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	path(data, size);
	host(data, size);
	return 0;
}
