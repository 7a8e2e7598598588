/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "conn.h"
#include "frame.h"

enum { ACK_BYTES = 16000, A_MINUTE = 60 * 1000 };

/* The peer's end of a connection is `fd`. */
struct fixture {
	struct session_handler handler;
	struct ev_loop *loop;
	struct conn_list list;
	struct conn *conn;
	struct buf frames;
	int fd;
};

static int big_answer(struct session_handler *h, struct span message, unsigned args, struct span *rest, struct buf *ack, uint64_t now_ms)
{
	(void)h, (void)message, (void)args, (void)now_ms;
	*rest = span_of(NULL, 0);
	for (unsigned i = 0; i < ACK_BYTES; i++)
		if (buf_putc(ack, 0) < 0)
			return -1;
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	assert_non_null(f);
	f->handler.message = big_answer;
	f->loop = ev_loop_new(EVFLAG_AUTO);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	f->fd = pair[0];
	f->conn = conn_open(f->loop, &f->list, pair[1], NULL, &f->handler);
	assert_non_null(f->conn);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->list.first)
		conn_close(f->list.first);
	if (f->fd >= 0)
		close(f->fd);
	buf_deinit(&f->frames);
	ev_loop_destroy(f->loop);
	free(f);
	return 0;
}

static void put_hello(struct fixture *f)
{
	struct spop_value versions = {.type = SPOP_STR, .bytes = span_str("2.0")}, size = {.type = SPOP_UINT32, .u = 16380};
	struct spop_value capabilities = {.type = SPOP_STR, .bytes = span_str("pipelining,async")};
	size_t mark;

	assert_int_equal(frame_begin(&f->frames, &mark, FRAME_HAPROXY_HELLO, 0, 0), 0);
	assert_int_equal(frame_kv(&f->frames, "supported-versions", &versions), 0);
	assert_int_equal(frame_kv(&f->frames, "max-frame-size", &size), 0);
	assert_int_equal(frame_kv(&f->frames, "capabilities", &capabilities), 0);
	assert_int_equal(frame_end(&f->frames, mark), 0);
}

static void put_notify(struct fixture *f)
{
	size_t mark;

	assert_int_equal(frame_begin(&f->frames, &mark, FRAME_NOTIFY, 1, 1), 0);
	assert_int_equal(buf_append(&f->frames, "\1m\0", 3), 0);
	assert_int_equal(frame_end(&f->frames, mark), 0);
}

static void send_frames(struct fixture *f)
{
	assert_int_equal(send(f->fd, f->frames.p, f->frames.len, MSG_NOSIGNAL), f->frames.len);
	buf_reset(&f->frames);
}

static unsigned events;

static void count_events(struct ev_loop *loop)
{
	events += ev_pending_count(loop);
	ev_invoke_pending(loop);
}

/* Events of one look at the descriptors. */
static unsigned turn(struct fixture *f)
{
	events = 0;
	ev_set_invoke_pending_cb(f->loop, count_events);
	ev_run(f->loop, EVRUN_NOWAIT);
	return events;
}

static void settle(struct fixture *f)
{
	for (unsigned i = 0; i < 100; i++)
		turn(f);
}

/* Answers wait for a peer that does not read, and what it has sent behind the end is not read either. */
static void close_with_bytes_on_both_sides(struct fixture *f)
{
	put_hello(f);
	for (unsigned i = 0; i < 40; i++)
		put_notify(f);
	send_frames(f);
	settle(f);
	assert_int_equal(conn_frames(f->conn), 40);
	conn_drain(f->conn);
	settle(f);
	put_notify(f);
	send_frames(f);
	settle(f);
	assert_int_equal(f->list.count, 1);
	assert_int_equal(conn_frames(f->conn), 40);
}

static size_t read_all(struct fixture *f)
{
	uint8_t bytes[65536];
	size_t got = 0;
	ssize_t n;

	do {
		while ((n = recv(f->fd, bytes, sizeof(bytes), 0)) > 0)
			got += (size_t)n;
		settle(f);
	} while (n < 0 && errno == EAGAIN);
	return got;
}

static void closed_session__with_bytes_that_nobody_reads__is_quiet(void **state)
{
	struct fixture *f = *state;

	close_with_bytes_on_both_sides(f);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(turn(f), 0);
}

static void closed_session__whose_peer_reads_after_all__has_answered_everything(void **state)
{
	struct fixture *f = *state;

	close_with_bytes_on_both_sides(f);
	shutdown(f->fd, SHUT_WR);
	assert_true(read_all(f) > 40 * ACK_BYTES);
	assert_int_equal(f->list.count, 0);
	assert_int_equal(f->list.frames, 40);
	assert_int_equal(f->list.errors, 0);
}

static void closed_session__whose_peer_never_reads__ends_without_an_error(void **state)
{
	struct fixture *f = *state;

	close_with_bytes_on_both_sides(f);
	conn_tick(f->conn, clock_ms());
	assert_int_equal(f->list.count, 1);
	conn_tick(f->conn, clock_ms() + A_MINUTE);
	assert_int_equal(f->list.count, 0);
	assert_int_equal(f->list.errors, 0);
}

static void connection__without_hello_in_time__is_an_error(void **state)
{
	struct fixture *f = *state;

	conn_tick(f->conn, clock_ms());
	assert_int_equal(f->list.count, 1);
	conn_tick(f->conn, clock_ms() + A_MINUTE);
	assert_int_equal(f->list.count, 0);
	assert_int_equal(f->list.errors, 1);
}

static void session__that_is_open__has_no_deadline(void **state)
{
	struct fixture *f = *state;

	put_hello(f);
	send_frames(f);
	settle(f);
	conn_tick(f->conn, clock_ms() + A_MINUTE);
	assert_int_equal(f->list.count, 1);
	/* its buffers were released, and it goes on */
	conn_tick(f->conn, clock_ms() + A_MINUTE);
	put_notify(f);
	send_frames(f);
	settle(f);
	assert_int_equal(conn_frames(f->conn), 1);
}

static void frame__in_single_bytes__is_answered_once(void **state)
{
	struct fixture *f = *state;
	struct buf whole;

	put_hello(f);
	put_notify(f);
	whole = f->frames;
	f->frames = (struct buf){0};
	for (size_t i = 0; i < whole.len; i++) {
		assert_int_equal(send(f->fd, whole.p + i, 1, MSG_NOSIGNAL), 1);
		turn(f);
	}
	settle(f);
	assert_int_equal(conn_frames(f->conn), 1);
	buf_deinit(&whole);
}

static void peer__that_hangs_up__ends_the_connection(void **state)
{
	struct fixture *f = *state;

	put_hello(f);
	send_frames(f);
	close(f->fd);
	f->fd = -1;
	settle(f);
	assert_int_equal(f->list.count, 0);
	assert_int_equal(f->list.errors, 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(closed_session__with_bytes_that_nobody_reads__is_quiet),
		TEST(closed_session__whose_peer_reads_after_all__has_answered_everything),
		TEST(closed_session__whose_peer_never_reads__ends_without_an_error),
		TEST(connection__without_hello_in_time__is_an_error),
		TEST(session__that_is_open__has_no_deadline),
		TEST(frame__in_single_bytes__is_answered_once),
		TEST(peer__that_hangs_up__ends_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
