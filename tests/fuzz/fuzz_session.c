/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session fed the same bytes whole and in pieces: the answers must be the same, and every one a well-formed frame within the
 * agreed size. The first byte chooses the cut.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "frame.h"
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static int echo(struct session_handler *h, struct span message, unsigned args, struct span *rest, struct buf *ack, uint64_t now_ms)
{
	struct spop_value v = {0};
	struct span name;

	(void)h;
	(void)message;
	(void)now_ms;
	for (unsigned i = 0; i < args; i++)
		if (frame_next_arg(&name, &v, rest) != 1)
			return -1;
	return frame_set_var(ack, SPOP_TXN, "answer", &v);
}

static void check_frames(const struct session *s, struct span out)
{
	while (out.len) {
		struct frame f;
		size_t len;

		must(out.len >= 4);
		len = (size_t)out.p[0] << 24 | (size_t)out.p[1] << 16 | (size_t)out.p[2] << 8 | out.p[3];
		must(len <= out.len - 4 && frame_decode(&f, span_of(out.p + 4, len)) == 0);
		must(f.type >= FRAME_AGENT_HELLO && (f.type != FRAME_ACK || len <= s->max_frame));
		out = span_of(out.p + 4 + len, out.len - 4 - len);
	}
}

static void run(const uint8_t *data, size_t size, size_t step, struct buf *out)
{
	struct session_handler handler = {echo};
	struct session s;
	struct buf in = {0};

	session_init(&s, &handler);
	while (size) {
		size_t n = size < step ? size : step;
		struct span rest;

		must(buf_append(&in, data, n) == 0);
		data += n;
		size -= n;
		rest = buf_span(&in);
		session_feed(&s, &rest, out, 0);
		must(rest.len <= in.len);
		memmove(in.p, in.p + (in.len - rest.len), rest.len);
		in.len = rest.len;
	}
	check_frames(&s, buf_span(out));
	buf_deinit(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = {0}, pieces = {0};

	if (size < 2)
		return 0;
	run(data + 1, size - 1, size, &whole);
	run(data + 1, size - 1, 1 + data[0], &pieces);
	/* only the latest answer counts without pipelining, whatever the cut */
	must(span_eq(buf_span(&whole), buf_span(&pieces)));
	buf_deinit(&whole);
	buf_deinit(&pieces);
	return 0;
}
