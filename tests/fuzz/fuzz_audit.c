/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the master reads from workers and from HAProxy's log: events and log lines of any bytes must give lines of valid JSON,
 * each one object of strings and one list.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* Quotes, escapes and brackets balance, nothing below 0x20 but the last newline, and UTF-8 lead bytes are followed. */
static int write_line(void *ctx, struct span line)
{
	int depth = 0, quoted = 0, more = 0;

	(void)ctx;
	must(line.len > 2 && line.p[0] == '{' && line.p[line.len - 1] == '\n');
	for (size_t i = 0; i + 1 < line.len; i++) {
		uint8_t c = line.p[i];

		must(c >= 0x20 && c != 0x7f && (more ? (c & 0xc0) == 0x80 : (c & 0xc0) != 0x80));
		more = more ? more - 1 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
		if (quoted && c == '\\')
			must(++i + 1 < line.len);
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted)
			depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
	}
	must(depth == 0 && !quoted && !more);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct audit_ledger *l = audit_ledger_new(write_line, NULL);
	struct audit_event e;
	uint64_t now = 1000;

	must(l != NULL);
	while (size >= 2) {
		size_t n = ((size_t)data[0] << 8 | data[1]) % 8192;

		data += 2;
		size -= 2;
		n = n < size ? n : size;
		if (audit_event_decode(&e, span_of(data, n)) == 0) {
			struct buf again = {0};

			must(audit_event_encode(&again, &e) == 0 && span_eq(buf_span(&again), span_of(data, n)));
			buf_deinit(&again);
			must(audit_ledger_take(l, &e, now) == 0);
		} else {
			must(audit_ledger_take_log(l, span_of(data, n), now) == 0);
		}
		audit_ledger_settle(l);
		now += n * 100;
		must(audit_ledger_tick(l, now) == 0);
		data += n;
		size -= n;
	}
	audit_ledger_free(l);
	return 0;
}
