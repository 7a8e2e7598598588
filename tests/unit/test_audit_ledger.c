/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "audit.h"

enum { T0 = 1000000 };

struct fixture {
	struct audit_ledger *ledger;
	struct buf lines; /* with a NUL behind, for strstr */
	unsigned count;
};

static int write_line(void *ctx, struct span line)
{
	struct fixture *f = ctx;

	assert_true(line.len > 2 && line.p[0] == '{' && line.p[line.len - 1] == '\n');
	assert_int_equal(buf_append_span(&f->lines, line), 0);
	assert_int_equal(buf_putc(&f->lines, 0), 0);
	f->lines.len--;
	f->count++;
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->ledger = audit_ledger_new(write_line, f);
	*state = f;
	return f->ledger ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	audit_ledger_free(f->ledger);
	buf_deinit(&f->lines);
	free(f);
	return 0;
}

static struct audit_event event(unsigned id, enum audit_kind kind, unsigned direction, uint32_t seq)
{
	struct audit_event e = {.kind = kind, .direction = direction, .seq = seq};

	e.id[11] = (uint8_t)id;
	return e;
}

static void take(struct fixture *f, struct audit_event e)
{
	assert_int_equal(audit_ledger_take(f->ledger, &e, T0), 0);
}

static void take_head(struct fixture *f, unsigned id)
{
	struct audit_event e = event(id, AUDIT_HEAD, 0, 1);

	e.agent = span_str("agent-1");
	e.host = span_str("api.example.test:443");
	e.method = span_str("POST");
	e.path = span_str("/v1/\"quoted\"");
	take(f, e);
}

static void take_hit(struct fixture *f, unsigned id, unsigned direction, uint32_t seq, const char *name, unsigned count)
{
	struct audit_event e = event(id, AUDIT_HITS, direction, seq);

	e.secret = span_str(name);
	e.where = direction ? AUDIT_IN_BODY : AUDIT_IN_HEADER;
	e.what = direction ? AUDIT_REDACTED : AUDIT_REHYDRATED;
	e.count = count;
	take(f, e);
}

static void take_end(struct fixture *f, unsigned id, unsigned direction)
{
	struct audit_event e = event(id, AUDIT_END, direction, 0);

	e.end = span_str("complete");
	take(f, e);
}

static void settle(struct fixture *f)
{
	while (audit_ledger_settle(f->ledger))
		;
}

static bool has(const struct fixture *f, const char *text)
{
	return f->count && strstr((const char *)f->lines.p, text);
}

static void request__rehydrated_and_redacted__is_one_line(void **state)
{
	struct fixture *f = *state;

	take_head(f, 1);
	take_hit(f, 1, 0, 1, "API_KEY", 1);
	take_hit(f, 1, 1, 1, "API_KEY", 2);
	take_hit(f, 1, 1, 2, "API_KEY", 3);
	take_end(f, 1, 1);
	settle(f);
	assert_int_equal(f->count, 1);
	assert_true(has(f, "{\"time\":\"1970-01-01T00:16:40.000Z\",\"id\":\"000000000000000000000001\",\"agent\":\"agent-1\","
	                   "\"host\":\"api.example.test:443\",\"method\":\"POST\",\"path\":\"/v1/\\\"quoted\\\"\",\"verdict\":\"allow\","
	                   "\"code\":\"\",\"secrets\":["
	                   "{\"name\":\"API_KEY\",\"where\":\"header\",\"direction\":\"request\",\"what\":\"rehydrated\",\"count\":1},"
	                   "{\"name\":\"API_KEY\",\"where\":\"body\",\"direction\":\"response\",\"what\":\"redacted\",\"count\":5}],"
	                   "\"end\":\"complete\"}"));
}

static void request__clean__is_no_line(void **state)
{
	struct fixture *f = *state;

	take_head(f, 1);
	take_end(f, 1, 0);
	settle(f);
	take_head(f, 2);
	assert_int_equal(audit_ledger_tick(f->ledger, T0 + 61000), 0);
	assert_int_equal(f->count, 0);
	assert_int_equal(audit_ledger_figures(f->ledger).open, 0);
}

static void exchange__reported_twice__counts_once(void **state)
{
	struct fixture *f = *state;

	take_head(f, 1);
	take_hit(f, 1, 0, 1, "API_KEY", 1);
	take_hit(f, 1, 0, 1, "API_KEY", 1);
	take_hit(f, 1, 1, 1, "API_KEY", 7);
	take_hit(f, 1, 1, 2, "API_KEY", 1);
	take_hit(f, 1, 1, 1, "API_KEY", 7); /* late: the worker that died had reported it */
	take_hit(f, 1, 1, 2, "OTHER", 4);   /* another name in the same exchange is no retry */
	take_end(f, 1, 1);
	settle(f);
	assert_int_equal(f->count, 1);
	assert_true(has(f, "\"rehydrated\",\"count\":1}"));
	assert_true(has(f, "\"redacted\",\"count\":8}"));
	assert_true(has(f, "{\"name\":\"OTHER\",\"where\":\"body\",\"direction\":\"response\",\"what\":\"redacted\",\"count\":4}"));
}

static void exchange__hundred_thousand_of_one_stream__count_once_each(void **state)
{
	struct fixture *f = *state;

	for (uint32_t seq = 1; seq <= 100000; seq++) {
		take_hit(f, 1, 1, seq, "API_KEY", 1);
		if (seq % 3 == 0)
			take_hit(f, 1, 1, seq - 2, "API_KEY", 1);
	}
	take_end(f, 1, 1);
	settle(f);
	assert_true(has(f, "\"count\":100000}"));
}

static void end__read_before_an_older_event__waits_for_it(void **state)
{
	struct fixture *f = *state;

	/* the worker that saw the head has written first, but its pipe is read second */
	take_hit(f, 1, 1, 1, "API_KEY", 2);
	take_end(f, 1, 1);
	assert_int_equal(audit_ledger_settle(f->ledger), 1);
	assert_int_equal(f->count, 0);
	take_head(f, 1);
	take_hit(f, 1, 0, 1, "API_KEY", 1);
	settle(f);
	assert_int_equal(f->count, 1);
	assert_true(has(f, "\"agent\":\"agent-1\"") && has(f, "rehydrated") && has(f, "redacted"));
}

static void end__of_the_request_while_the_response_is_open__does_not_close(void **state)
{
	struct fixture *f = *state;

	take_head(f, 1);
	take_hit(f, 1, 0, 1, "API_KEY", 1);
	take_hit(f, 1, 1, 1, "API_KEY", 1);
	take_end(f, 1, 0);
	settle(f);
	assert_int_equal(f->count, 0);
	take_end(f, 1, 1);
	settle(f);
	assert_int_equal(f->count, 1);
}

static void end__never_comes__closes_as_lost_after_60_s(void **state)
{
	struct fixture *f = *state;

	take_head(f, 1);
	take_hit(f, 1, 0, 1, "API_KEY", 1);
	assert_int_equal(audit_ledger_tick(f->ledger, T0 + 59999), 0);
	assert_int_equal(f->count, 0);
	assert_int_equal(audit_ledger_tick(f->ledger, T0 + 60000), 0);
	assert_int_equal(f->count, 1);
	assert_true(has(f, "\"end\":\"lost\""));
	/* what comes after all is a second line of the same request, and nothing is counted again */
	buf_reset(&f->lines);
	take_hit(f, 1, 0, 1, "API_KEY", 1);
	take_hit(f, 1, 1, 1, "API_KEY", 3);
	take_end(f, 1, 1);
	settle(f);
	assert_int_equal(f->count, 2);
	assert_true(has(f, "\"id\":\"000000000000000000000001\",\"agent\":\"agent-1\""));
	assert_true(has(f, "\"count\":3}") && !has(f, "rehydrated"));
}

static void end__of_the_response__counts_more_than_that_of_the_request(void **state)
{
	struct fixture *f = *state;

	for (unsigned order = 0; order < 2; order++) {
		struct audit_event e = event(1 + order, AUDIT_END, 1, 0);

		e.end = span_str("client_abort");
		buf_reset(&f->lines);
		take_head(f, 1 + order);
		take_hit(f, 1 + order, 0, 1, "API_KEY", 1);
		take_hit(f, 1 + order, 1, 1, "API_KEY", 1);
		if (order == 0)
			take_end(f, 1 + order, 0);
		take(f, e);
		if (order == 1)
			take_end(f, 1 + order, 0);
		settle(f);
		assert_true(has(f, "\"end\":\"client_abort\""));
	}
}

/* A stream that is long and clean. */
static void end__comes_after_the_record_was_lost__is_a_line(void **state)
{
	struct fixture *f = *state;

	take_head(f, 1);
	take_hit(f, 1, 0, 1, "API_KEY", 1);
	take_hit(f, 1, 1, 1, "API_KEY", 1);
	take_end(f, 1, 0);
	for (unsigned s = 60; s < 3600; s += 60)
		assert_int_equal(audit_ledger_tick(f->ledger, T0 + s * 1000), 0);
	assert_int_equal(f->count, 1);
	buf_reset(&f->lines);
	take_end(f, 1, 1);
	settle(f);
	assert_int_equal(f->count, 2);
	assert_true(has(f, "\"id\":\"000000000000000000000001\",\"agent\":\"agent-1\""));
	assert_true(has(f, "\"secrets\":[],\"end\":\"complete\""));
	/* and is said once */
	take_end(f, 1, 1);
	settle(f);
	assert_int_equal(audit_ledger_tick(f->ledger, T0 + 7200 * 1000), 0);
	assert_int_equal(f->count, 2);
	assert_int_equal(audit_ledger_figures(f->ledger).open, 0);
}

static void refusal__repeated_by_a_retry__is_one_line(void **state)
{
	struct fixture *f = *state;
	struct audit_event e = event(1, AUDIT_REFUSAL, 0, 1);

	e.code = span_str("host_denied");
	take_head(f, 1);
	take(f, e);
	settle(f);
	take(f, e);
	settle(f);
	assert_int_equal(f->count, 1);
	assert_true(has(f, "\"verdict\":\"refuse\",\"code\":\"host_denied\""));
	assert_true(has(f, "\"end\":\"refused\""));
	/* the memory of it ends */
	assert_int_equal(audit_ledger_tick(f->ledger, T0 + 6000), 0);
	assert_int_equal(audit_ledger_figures(f->ledger).open, 0);
}

static void note__makes_a_line_with_its_code(void **state)
{
	struct fixture *f = *state;
	struct audit_event e = event(1, AUDIT_NOTE, 0, 1);

	e.code = span_str("opaque_body");
	take_head(f, 1);
	take(f, e);
	take_end(f, 1, 0);
	settle(f);
	assert_int_equal(f->count, 1);
	assert_true(has(f, "\"verdict\":\"allow\",\"code\":\"opaque_body\""));
}

static void ledger__freed__writes_what_is_open(void **state)
{
	struct fixture *f = *state;

	take_head(f, 1);
	take_hit(f, 1, 0, 1, "API_KEY", 1);
	audit_ledger_free(f->ledger);
	f->ledger = NULL;
	assert_int_equal(f->count, 1);
	assert_true(has(f, "\"end\":\"lost\""));
}

static void log_line__with_code__is_a_line(void **state)
{
	struct fixture *f = *state;
	const char *json = "{\"agent\":\"agent-1\",\"host\":\"x\\u0041.test\",\"method\":\"GET\",\"code\":\"host_denied\","
	                   "\"status\":403,\"id\":\"\"}";

	assert_int_equal(audit_ledger_take_log(f->ledger, span_str(json), T0), 0);
	assert_int_equal(f->count, 1);
	assert_true(has(f, "\"id\":\"\",\"agent\":\"agent-1\",\"host\":\"xA.test\",\"method\":\"GET\""));
	assert_true(has(f, "\"verdict\":\"refuse\",\"code\":\"host_denied\""));
}

static void log_line__of_a_request_that_the_agent_refused__adds_nothing(void **state)
{
	struct fixture *f = *state;
	struct audit_event e = event(1, AUDIT_REFUSAL, 0, 1);
	const char *json = "{\"code\":\"tripwire\",\"id\":\"000000000000000000000001\"}";

	e.code = span_str("tripwire");
	take(f, e);
	settle(f);
	assert_int_equal(audit_ledger_take_log(f->ledger, span_str(json), T0), 0);
	settle(f);
	assert_int_equal(f->count, 1);
}

static void log_line__without_code_or_malformed__is_nothing(void **state)
{
	static const char *const lines[] = {"{}", "{\"code\":\"\"}", "{\"agent\":\"a\"}", "{\"code\":", "{\"code\":\"\\q\"}", "",
	                                    "{\"code\":{\"a\":1}}", "[1]", "{\"code\":7}"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(audit_ledger_take_log(f->ledger, span_str(lines[i]), T0), 0);
	assert_int_equal(f->count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(request__rehydrated_and_redacted__is_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(request__clean__is_no_line, setup, teardown),
		cmocka_unit_test_setup_teardown(exchange__reported_twice__counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(exchange__hundred_thousand_of_one_stream__count_once_each, setup, teardown),
		cmocka_unit_test_setup_teardown(end__read_before_an_older_event__waits_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(end__of_the_request_while_the_response_is_open__does_not_close, setup, teardown),
		cmocka_unit_test_setup_teardown(end__never_comes__closes_as_lost_after_60_s, setup, teardown),
		cmocka_unit_test_setup_teardown(end__of_the_response__counts_more_than_that_of_the_request, setup, teardown),
		cmocka_unit_test_setup_teardown(end__comes_after_the_record_was_lost__is_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(refusal__repeated_by_a_retry__is_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(note__makes_a_line_with_its_code, setup, teardown),
		cmocka_unit_test_setup_teardown(ledger__freed__writes_what_is_open, setup, teardown),
		cmocka_unit_test_setup_teardown(log_line__with_code__is_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(log_line__of_a_request_that_the_agent_refused__adds_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(log_line__without_code_or_malformed__is_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
