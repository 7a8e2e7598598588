/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The shapes file over any bytes, with its length and checksum mended so that the members are reached; what decodes encodes to the
 * same bytes. Then the prefilter of those shapes over the rest: every form of the gate finds what the portable one finds.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "prefilter_internal.h"

enum { TEXT_MAX = 512, HEADER = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void mend(uint8_t *file, size_t size)
{
	uint64_t h = 0xcbf29ce484222325u;

	memcpy(file, "SLPSHAPE\0\0\0\1", 12);
	for (unsigned i = 0; i < 4; i++)
		file[12 + i] = (uint8_t)(size >> (24 - 8 * i));
	for (size_t i = 0; i < size - 8; i++)
		h = (h ^ file[i]) * 0x100000001b3u;
	for (unsigned i = 0; i < 8; i++)
		file[size - 8 + i] = (uint8_t)(h >> (56 - 8 * i));
}

static bool any_region(struct prefilter *p, const struct gate_form *form, struct span text)
{
	struct prefilter_region r;
	struct prefilter_scan s;

	p->form = form;
	prefilter_scan_init(&s, p, text, 0);
	return prefilter_next(&s, 0, &r);
}

static void prefilter_try(const struct shape_set *s, struct span text)
{
	struct prefilter *p = prefilter_new(s);
	size_t held;

	must(p != NULL);
	must(any_region(p, &gate_portable, text) == any_region(p, gate_best(), text));
	held = prefilter_hold(p, text, 0);
	must(held <= text.len);
	must(held == text.len || prefilter_candidate(p, text, false));
	prefilter_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t text = size / 2 < TEXT_MAX ? size / 2 : TEXT_MAX, len = size - text;
	struct shape_file_header h;
	struct buf again = {0};
	struct shape_set *s;
	const char *why;
	uint8_t *file;

	if (len < HEADER + 8)
		return 0;
	file = malloc(len);
	must(file != NULL);
	memcpy(file, data + text, len);
	mend(file, len);
	s = shape_set_decode(span_of(file, len), &h, &why);
	must((s == NULL) == (why != NULL));
	if (s) {
		must(shape_set_encode(&again, s, &h) == 0 && again.len <= len);
		prefilter_try(s, span_of(data, text));
		buf_deinit(&again);
		shape_set_free(s);
	}
	free(file);
	return 0;
}
