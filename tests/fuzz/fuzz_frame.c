/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The SPOP decoders over any bytes; what they accept must come back the same when it is encoded and decoded again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void round_trip(struct span name, const struct spop_value *v)
{
	char text[256];
	struct buf b = {0};
	struct span rest, name2;
	struct spop_value v2;

	if (name.len >= sizeof(text) || memchr(name.p, 0, name.len))
		return;
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	must(frame_kv(&b, text, v) == 0);
	rest = buf_span(&b);
	must(frame_next_arg(&name2, &v2, &rest) == 1 && rest.len == 0);
	must(span_eq(name, name2) && v->type == v2.type && v->b == v2.b && v->u == v2.u && span_eq(v->bytes, v2.bytes));
	buf_deinit(&b);
}

static int walk_args(struct span *rest, unsigned count)
{
	struct spop_value v;
	struct span name;
	int more = 1;

	for (unsigned i = 0; i < count && (more = frame_next_arg(&name, &v, rest)) == 1; i++)
		round_trip(name, &v);
	return more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest, name;
	struct frame f;
	unsigned args;

	if (frame_decode(&f, span_of(data, size)) < 0)
		return 0;
	must(f.payload.p >= data && f.payload.p + f.payload.len == data + size);
	rest = f.payload;
	walk_args(&rest, UINT32_MAX);
	rest = f.payload;
	while (frame_next_message(&name, &args, &rest) == 1)
		if (walk_args(&rest, args) != 1 && args)
			break;
	return 0;
}
