/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frame.h"
#include "session.h"

/* Answers with the last argument; "refuse" is refused, "big" fills all room that it is given. */
struct echo {
	struct session_handler handler;
	unsigned messages;
};

static int echo_message(struct session_handler *h, struct span message, unsigned args, struct span *rest, struct buf *ack,
                        uint64_t now_ms)
{
	struct echo *e = (struct echo *)h;
	struct spop_value v = {0};
	struct span name;

	(void)now_ms;
	e->messages++;
	if (span_is(message, "refuse"))
		return -1;
	for (unsigned i = 0; i < args; i++)
		if (frame_next_arg(&name, &v, rest) != 1)
			return -1;
	if (span_is(message, "big"))
		while (buf_putc(ack, 0) == 0)
			;
	return span_is(message, "big") ? 0 : frame_set_var(ack, SPOP_TXN, "answer", &v);
}

struct fixture {
	struct echo echo;
	struct session s;
	struct buf in, out;
};

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){.echo = {.handler = {echo_message}}};
	session_init(&f->s, &f->echo.handler);
}

static void fixture_deinit(struct fixture *f)
{
	buf_deinit(&f->in);
	buf_deinit(&f->out);
}

static void put_hello(struct buf *b, const char *versions, uint64_t max_frame, const char *capabilities, bool healthcheck)
{
	struct spop_value v = {.type = SPOP_STR, .bytes = span_str(versions)}, size = {.type = SPOP_UINT32, .u = max_frame};
	struct spop_value caps = {.type = SPOP_STR}, check = {.type = SPOP_BOOL, .b = true};
	size_t mark;

	assert_int_equal(frame_begin(b, &mark, FRAME_HAPROXY_HELLO, 0, 0), 0);
	assert_int_equal(frame_kv(b, "supported-versions", &v), 0);
	assert_int_equal(frame_kv(b, "max-frame-size", &size), 0);
	if (capabilities) {
		caps.bytes = span_str(capabilities);
		assert_int_equal(frame_kv(b, "capabilities", &caps), 0);
	}
	if (healthcheck)
		assert_int_equal(frame_kv(b, "healthcheck", &check), 0);
	assert_int_equal(frame_end(b, mark), 0);
}

static void put_notify(struct buf *b, uint64_t stream, const char *message, const char *argument)
{
	struct spop_value v = {.type = SPOP_STR, .bytes = span_str(argument)};
	size_t mark, len = strlen(message);

	assert_int_equal(frame_begin(b, &mark, FRAME_NOTIFY, stream, 1), 0);
	assert_int_equal(buf_putc(b, (uint8_t)len), 0);
	assert_int_equal(buf_append(b, message, len), 0);
	assert_int_equal(buf_putc(b, 1), 0);
	assert_int_equal(frame_kv(b, "arg", &v), 0);
	assert_int_equal(frame_end(b, mark), 0);
}

static void feed(struct fixture *f)
{
	struct span rest = buf_span(&f->in);

	session_feed(&f->s, &rest, &f->out, 0);
	if (rest.len)
		memmove(f->in.p, rest.p, rest.len);
	f->in.len = rest.len;
}

static bool next_frame(struct span *out, struct frame *f)
{
	size_t len;

	if (out->len < 4)
		return false;
	len = (size_t)out->p[0] << 24 | (size_t)out->p[1] << 16 | (size_t)out->p[2] << 8 | out->p[3];
	assert_true(len <= out->len - 4);
	assert_int_equal(frame_decode(f, span_of(out->p + 4, len)), 0);
	*out = span_of(out->p + 4 + len, out->len - 4 - len);
	return true;
}

static struct spop_value value_of(const struct frame *f, const char *key)
{
	struct span rest = f->payload, name;
	struct spop_value v;

	while (frame_next_arg(&name, &v, &rest) == 1)
		if (span_is(name, key))
			return v;
	fail_msg("no %s in the frame", key);
	return v;
}

/* The only frame of out is an AGENT-DISCONNECT with that code, and the session is closed. */
static void assert_disconnected(struct fixture *f, unsigned code)
{
	struct span out = buf_span(&f->out);
	struct frame frame = {0};

	while (next_frame(&out, &frame))
		;
	assert_int_equal(frame.type, FRAME_AGENT_DISCONNECT);
	assert_int_equal(value_of(&frame, "status-code").u, code);
	assert_int_equal(f->s.phase, SESSION_CLOSED);
}

static void open_session(struct fixture *f, const char *capabilities)
{
	fixture_init(f);
	put_hello(&f->in, "2.0", 16380, capabilities, false);
	feed(f);
	assert_int_equal(f->s.phase, SESSION_OPEN);
	buf_reset(&f->out);
}

static void hello__with_async__announces_pipelining_and_the_smaller_size(void **state)
{
	struct fixture f;
	struct frame frame;
	struct span out;

	(void)state;
	fixture_init(&f);
	put_hello(&f.in, "1.0, 2.0", 16380, "pipelining , async", false);
	feed(&f);
	out = buf_span(&f.out);
	assert_true(next_frame(&out, &frame));
	assert_int_equal(frame.type, FRAME_AGENT_HELLO);
	assert_true(span_is(value_of(&frame, "version").bytes, "2.0"));
	assert_true(span_is(value_of(&frame, "capabilities").bytes, "pipelining"));
	assert_int_equal(value_of(&frame, "max-frame-size").u, 16380);
	assert_int_equal(f.s.phase, SESSION_OPEN);
	fixture_deinit(&f);
}

static void hello__without_async__announces_nothing(void **state)
{
	struct fixture f;
	struct frame frame;
	struct span out;

	(void)state;
	fixture_init(&f);
	put_hello(&f.in, "2.0", 1 << 30, "pipelining,asynchronous", false);
	feed(&f);
	out = buf_span(&f.out);
	assert_true(next_frame(&out, &frame));
	assert_int_equal(value_of(&frame, "capabilities").bytes.len, 0);
	assert_int_equal(value_of(&frame, "max-frame-size").u, SESSION_FRAME_MAX);
	fixture_deinit(&f);
}

static void hello__health_check__is_answered_and_closed(void **state)
{
	struct fixture f;
	struct frame frame;
	struct span out;

	(void)state;
	fixture_init(&f);
	put_hello(&f.in, "2.0", 16380, "", true);
	feed(&f);
	out = buf_span(&f.out);
	assert_true(next_frame(&out, &frame));
	assert_int_equal(frame.type, FRAME_AGENT_HELLO);
	assert_int_equal(out.len, 0);
	assert_int_equal(f.s.phase, SESSION_CLOSED);
	assert_null(f.s.error);
	fixture_deinit(&f);
}

static void hello__unusable__is_refused_with_its_code(void **state)
{
	const struct {
		const char *versions, *capabilities;
		uint64_t max_frame;
		unsigned code;
	} cases[] = {
		{"1.0", "", 16380, 8}, {"3.0", "", 16380, 8}, {"2.0", NULL, 16380, 7}, {"2.0", "", 255, 9}, {"", "", 16380, 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;

		fixture_init(&f);
		put_hello(&f.in, cases[i].versions, cases[i].max_frame, cases[i].capabilities, false);
		feed(&f);
		assert_disconnected(&f, cases[i].code);
		fixture_deinit(&f);
	}
}

static void notify__whole__is_acknowledged_under_its_ids(void **state)
{
	struct fixture f;
	struct frame frame;
	struct span out;

	(void)state;
	open_session(&f, "async");
	put_notify(&f.in, 77, "echo", "hello");
	feed(&f);
	out = buf_span(&f.out);
	assert_true(next_frame(&out, &frame));
	assert_int_equal(frame.type, FRAME_ACK);
	assert_true(frame.stream_id == 77 && frame.frame_id == 1);
	assert_non_null(memmem(frame.payload.p, frame.payload.len, "hello", 5));
	fixture_deinit(&f);
}

static void stream__cut_at_every_byte__gives_the_same_answers(void **state)
{
	struct buf all = {0}, whole = {0};

	(void)state;
	put_hello(&all, "2.0", 16380, "async", false);
	put_notify(&all, 1, "echo", "one");
	put_notify(&all, 2, "echo", "two");
	for (size_t cut = 0; cut <= all.len; cut++) {
		struct fixture f;

		fixture_init(&f);
		assert_int_equal(buf_append(&f.in, all.p, cut), 0);
		feed(&f);
		assert_int_equal(buf_append(&f.in, all.p + cut, all.len - cut), 0);
		feed(&f);
		if (cut == 0)
			assert_int_equal(buf_append_span(&whole, buf_span(&f.out)), 0);
		assert_true(span_eq(buf_span(&whole), buf_span(&f.out)));
		fixture_deinit(&f);
	}
	buf_deinit(&all);
	buf_deinit(&whole);
}

static void notify__with_pipelining__all_are_acknowledged(void **state)
{
	struct fixture f;
	struct frame frame;
	struct span out;

	(void)state;
	open_session(&f, "async");
	put_notify(&f.in, 1, "echo", "one");
	put_notify(&f.in, 2, "echo", "two");
	feed(&f);
	out = buf_span(&f.out);
	assert_true(next_frame(&out, &frame));
	assert_true(frame.stream_id == 1);
	assert_true(next_frame(&out, &frame));
	assert_true(frame.stream_id == 2);
	assert_int_equal(f.s.dropped, 0);
	fixture_deinit(&f);
}

static void notify__second_without_pipelining__drops_the_older_answer(void **state)
{
	struct fixture f;
	struct frame frame;
	struct span out;

	(void)state;
	open_session(&f, "");
	put_notify(&f.in, 1, "echo", "one");
	feed(&f);
	put_notify(&f.in, 2, "echo", "two");
	feed(&f);
	out = buf_span(&f.out);
	assert_true(next_frame(&out, &frame));
	assert_true(frame.stream_id == 2);
	assert_int_equal(out.len, 0);
	assert_int_equal(f.s.dropped, 1);
	fixture_deinit(&f);
}

static void notify__handler_refuses__closes_unanswered(void **state)
{
	struct fixture f;
	struct frame frame;
	struct span out;

	(void)state;
	open_session(&f, "async");
	put_notify(&f.in, 1, "echo", "one");
	put_notify(&f.in, 2, "refuse", "two");
	put_notify(&f.in, 3, "echo", "three");
	feed(&f);
	out = buf_span(&f.out);
	assert_true(next_frame(&out, &frame));
	assert_true(frame.type == FRAME_ACK && frame.stream_id == 1);
	assert_true(next_frame(&out, &frame));
	assert_int_equal(frame.type, FRAME_AGENT_DISCONNECT);
	assert_int_equal(out.len, 0);
	assert_int_equal(f.echo.messages, 2);
	assert_non_null(f.s.error);
	fixture_deinit(&f);
}

static void notify__answer_of_any_size__fits_the_frame_size(void **state)
{
	struct fixture f;

	(void)state;
	open_session(&f, "async");
	put_notify(&f.in, 1, "big", "");
	feed(&f);
	assert_int_equal(f.out.len, 4 + 16380);
	assert_int_equal(f.s.phase, SESSION_OPEN);
	fixture_deinit(&f);
}

static void feed__peer_does_not_read__stops_answering(void **state)
{
	struct fixture f;

	(void)state;
	open_session(&f, "async");
	for (unsigned i = 0; i < 200; i++)
		put_notify(&f.in, i, "big", "");
	feed(&f);
	assert_true(f.out.len >= SESSION_UNSENT_MAX && f.out.len < SESSION_UNSENT_MAX + 16384);
	assert_true(f.in.len > 0);
	buf_reset(&f.out);
	while (f.in.len) {
		feed(&f);
		buf_reset(&f.out);
	}
	assert_int_equal(f.echo.messages, 200);
	fixture_deinit(&f);
}

static void frame__malformed__is_refused_with_its_code(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		unsigned code;
	} cases[] = {
		{"\x00\x00\x40\x00", 4, 3},                            /* longer than was agreed */
		{"\xff\xff\xff\xff", 4, 3},                            /* ... and than memory */
		{"\0\0\0\0", 4, 4},                                    /* empty */
		{"\0\0\0\7\x03\0\0\0\0\0\0", 11, 10},                  /* NOTIFY without FIN: fragmented */
		{"\0\0\0\7\x01\0\0\0\1\0\0", 11, 4},                   /* a second HELLO */
		{"\0\0\0\7\x67\0\0\0\1\0\0", 11, 4},                   /* an ACK, from HAProxy */
		{"\0\0\0\x0a\x03\0\0\0\1\1\1\4ech", 14, 4},            /* the message's name ends outside */
		{"\0\0\0\x0d\x03\0\0\0\1\1\1\4echo\1", 17, 4},         /* an argument is missing */
		{"\0\0\0\7\x02\0\0\0\1\0\0", 11, 0},                   /* HAPROXY-DISCONNECT */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;

		open_session(&f, "async");
		assert_int_equal(buf_append(&f.in, cases[i].bytes, cases[i].len), 0);
		feed(&f);
		assert_disconnected(&f, cases[i].code);
		fixture_deinit(&f);
	}
}

static void frame__before_hello__is_refused(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	put_notify(&f.in, 1, "echo", "one");
	feed(&f);
	assert_disconnected(&f, 4);
	assert_int_equal(f.echo.messages, 0);
	fixture_deinit(&f);
	fixture_init(&f);
	assert_int_equal(buf_append(&f.in, "\0\0\x10\1", 4), 0); /* a HELLO of 4097 bytes */
	feed(&f);
	assert_disconnected(&f, 3);
	fixture_deinit(&f);
}

static void notify__aborted__is_not_answered(void **state)
{
	struct fixture f;

	(void)state;
	open_session(&f, "async");
	put_notify(&f.in, 1, "echo", "one");
	f.in.p[8] = FRAME_FIN | FRAME_ABORT;
	feed(&f);
	assert_int_equal(f.out.len, 0);
	assert_int_equal(f.echo.messages, 0);
	assert_int_equal(f.s.phase, SESSION_OPEN);
	fixture_deinit(&f);
}

static void drain__open_session__says_goodbye_after_the_answers(void **state)
{
	struct fixture f;
	struct frame frame;
	struct span out;

	(void)state;
	open_session(&f, "async");
	put_notify(&f.in, 1, "echo", "one");
	feed(&f);
	session_drain(&f.s, &f.out);
	session_drain(&f.s, &f.out);
	out = buf_span(&f.out);
	assert_true(next_frame(&out, &frame));
	assert_int_equal(frame.type, FRAME_ACK);
	assert_true(next_frame(&out, &frame));
	assert_int_equal(value_of(&frame, "status-code").u, 0);
	assert_int_equal(out.len, 0);
	assert_null(f.s.error);
	fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello__with_async__announces_pipelining_and_the_smaller_size),
		cmocka_unit_test(hello__without_async__announces_nothing),
		cmocka_unit_test(hello__health_check__is_answered_and_closed),
		cmocka_unit_test(hello__unusable__is_refused_with_its_code),
		cmocka_unit_test(notify__whole__is_acknowledged_under_its_ids),
		cmocka_unit_test(stream__cut_at_every_byte__gives_the_same_answers),
		cmocka_unit_test(notify__with_pipelining__all_are_acknowledged),
		cmocka_unit_test(notify__second_without_pipelining__drops_the_older_answer),
		cmocka_unit_test(notify__handler_refuses__closes_unanswered),
		cmocka_unit_test(notify__answer_of_any_size__fits_the_frame_size),
		cmocka_unit_test(feed__peer_does_not_read__stops_answering),
		cmocka_unit_test(frame__malformed__is_refused_with_its_code),
		cmocka_unit_test(frame__before_hello__is_refused),
		cmocka_unit_test(notify__aborted__is_not_answered),
		cmocka_unit_test(drain__open_session__says_goodbye_after_the_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
