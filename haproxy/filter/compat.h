/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * HAProxy's headers and what differs between its versions. Nothing else of the filter asks for a version.
 * SLAPENIR_HAPROXY is the version whose headers these are (2.6.12 is 20612), given by the build.
 */
#ifndef SLAPENIR_COMPAT_H
#define SLAPENIR_COMPAT_H

#if SLAPENIR_HAPROXY < 20600 || SLAPENIR_HAPROXY >= 20700
#error "the filter was tried with HAProxy 2.6 alone: install that, or name its binary by HAPROXY="
#endif

#include <stdbool.h>

#include <haproxy/api.h>

#include <haproxy/action.h>
#include <haproxy/channel.h>
#include <haproxy/connection.h>
#include <haproxy/errors.h>
#include <haproxy/filters.h>
#include <haproxy/global.h>
#include <haproxy/http.h>
#include <haproxy/http_ana.h>
#include <haproxy/http_htx.h>
#include <haproxy/htx.h>
#include <haproxy/proxy.h>
#include <haproxy/sample.h>
#include <haproxy/stream.h>
#include <haproxy/task.h>
#include <haproxy/ticks.h>
#include <haproxy/tools.h>
#include <haproxy/vars.h>
#include <haproxy/sc_strm.h>
#include <haproxy/stconn.h>

extern char haproxy_version[];
struct action_kw *action_http_req_custom(const char *kw);
struct action_kw *action_http_res_custom(const char *kw);

#if SLAPENIR_HAPROXY >= 30400
#define STREAM_TXN(s) ((s)->txn.http)
#define compat_add_header(htx, n, v) http_add_header(htx, n, v, 1)
#else
#define STREAM_TXN(s) ((s)->txn)
#define compat_add_header(htx, n, v) http_add_header(htx, n, v)
#endif

/* The producer will send nothing more. */
static inline bool compat_input_closed(struct channel *chn)
{
#ifdef CF_SHUTR
	return chn->flags & CF_SHUTR;
#else
	return chn_prod(chn)->flags & (SC_FL_EOS | SC_FL_ABRT_DONE);
#endif
}

/* The consumer takes nothing more. */
static inline bool compat_output_closed(struct channel *chn)
{
#ifdef CF_SHUTW
	return chn->flags & CF_SHUTW;
#else
	return chn_cons(chn)->flags & SC_FL_SHUT_DONE;
#endif
}

static inline bool compat_input_failed(struct channel *chn)
{
#ifdef CF_READ_ERROR
	return chn->flags & (CF_READ_ERROR | CF_READ_TIMEOUT);
#else
	return (chn->flags & CF_READ_TIMEOUT) || (chn_prod(chn)->flags & SC_FL_ERROR);
#endif
}

/* Nothing more is to be read from the producer. */
static inline void compat_stop_input(struct channel *chn)
{
#ifdef CF_SHUTR
	channel_shutr_now(chn);
#else
	sc_schedule_abort(chn_prod(chn));
#endif
}

/* When the stream is woken for this channel, whatever else happens. */
static inline void compat_set_timer(struct channel *chn, int tick)
{
	chn->analyse_exp = tick;
#ifdef CF_ANA_TIMEOUT
	chn->flags &= ~CF_ANA_TIMEOUT;
#endif
}

/* What is marked for output goes out now. HAProxy would hold it up to 200 ms (MSG_MORE), because where a filter works
 * on the data more is always to be expected: the end of SSE. */
static inline void compat_send_now(struct channel *chn)
{
#ifdef CF_SEND_DONTWAIT
	chn->flags |= CF_SEND_DONTWAIT;
#else
	chn_cons(chn)->flags |= SC_FL_SND_ASAP;
#endif
}

/* Reads from the producer although it said that there is nothing. mux-h1 of 2.6 says so when the channel was filled exactly
 * to the border of two chunks: what follows lies in its own buffer, and nobody would ask again. */
static inline void compat_read_again(struct channel *chn)
{
	struct stconn *sc = chn_prod(chn);
	const struct connection *conn = sc_conn(sc);

	if (!conn || !conn->mux || !(sc->wait_event.events & SUB_RETRY_RECV) || compat_input_closed(chn))
		return;
	conn->mux->unsubscribe(sc, SUB_RETRY_RECV, &sc->wait_event);
	tasklet_wakeup(sc->wait_event.tasklet);
}

/* Lets the mux append to what is held. While a slow client has not taken what was let go, HAProxy fills the buffer to its last byte. Held bytes
 * that end there have all the room in front of them: htx_add_data() takes nothing, and HAProxy tries for ever, because it defragments only when there is
 * room on both sides. */
static inline void compat_make_room(struct channel *chn, struct htx *htx)
{
	const uint32_t little = 256;
	uint32_t room;

	if (htx_is_empty(htx) || co_data(chn))
		return;
	room = htx->head_addr ? htx->end_addr - htx->head_addr : htx_pos_to_addr(htx, (uint32_t)htx->tail) - htx->tail_addr;
	if (room < little && room + little < htx_free_space(htx))
		htx_defrag(htx, NULL, 0);
}

/* A body's length is about to change: nobody may count on what remained of it. */
static inline void compat_forget_length(struct channel *chn, struct htx *htx)
{
#if SLAPENIR_HAPROXY >= 30300
	(void)htx;
	chn_prod(chn)->sedesc->kip = 0;
	chn_cons(chn)->sedesc->kop = 0;
#else
	(void)chn;
	htx->extra = 0;
#endif
}

static inline bool compat_is_h2(struct stconn *sc)
{
	const struct connection *conn = sc_conn(sc);

	return conn && conn->mux && strcmp(conn->mux->name, "H2") == 0;
}

/* The peer must see that what it got is not the whole: RST_STREAM in HTTP/2 (a plain shutdown would end the stream
 * cleanly), a connection that is reset rather than closed where only its end delimits. */
static inline void compat_reset_peer(struct stconn *sc)
{
	const struct connection *conn = sc_conn(sc);

	if (!conn || !conn->mux)
		return;
	if (!compat_is_h2(sc)) {
		sc->flags |= SC_FL_NOLINGER;
		return;
	}
#ifdef CF_SHUTR
	conn->mux->shutr(sc, CO_SHR_RESET);
#else
	conn->mux->shut(sc, SE_SHR_RESET | SE_SHW_SILENT, NULL);
#endif
}

#endif
