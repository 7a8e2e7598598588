/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Answers, refusals and heads: what was decoded and encoded again is the same bytes.
 */
#include <stdlib.h>

#include "exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_equal(struct buf *again, struct span in)
{
	if (!span_eq(buf_span(again), in))
		abort();
	buf_reset(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), rest;
	struct buf again = {0};
	struct head_field f;
	struct refusal_body r;
	struct answer a;
	struct head h;
	int more;

	if (answer_decode(&a, in) == 0) {
		if (answer_encode(&again, &a) < 0)
			abort();
		must_equal(&again, in);
	}
	if (refusal_decode(&r, in) == 0) {
		if (refusal_encode(&again, &r) < 0)
			abort();
		must_equal(&again, in);
	}
	if (head_decode(&h, in) == 0) {
		if (h.kind == HEAD_REQUEST)
			more = head_encode_request(&again, h.method, h.uri, h.major, h.minor);
		else if (h.kind == HEAD_RESPONSE)
			more = head_encode_response(&again, h.status, h.major, h.minor);
		else
			more = head_encode_trailers(&again);
		if (more < 0)
			abort();
		rest = h.fields;
		while ((more = head_next_field(&f, &rest)) == 1)
			if (head_encode_field(&again, f.name, f.value) < 0)
				abort();
		if (more == 0)
			must_equal(&again, in);
	}
	buf_deinit(&again);
	return 0;
}
