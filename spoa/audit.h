/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a worker reports and what the master writes. Events go over a pipe, one whole event per write (under PIPE_BUF);
 * the ledger (audit_ledger.c, master only) counts each (id, direction, seq) once and prints one JSON line when the request has
 * ended.
 */
#ifndef SLAPENIR_AUDIT_H
#define SLAPENIR_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

enum audit_kind {
	AUDIT_HEAD,
	AUDIT_HITS,
	AUDIT_REFUSAL,
	AUDIT_END,
	AUDIT_NOTE,
	AUDIT_SUSPEND, /* agent is to be suspended everywhere: for the master, besides the record */
};
enum { AUDIT_EVENT_MAX = 4096 }; /* bytes of an encoded event: PIPE_BUF */

enum audit_where { AUDIT_IN_HEADER, AUDIT_IN_QUERY, AUDIT_IN_PATH, AUDIT_IN_BODY, AUDIT_IN_TRAILER };
/* what happened to an occurrence */
enum audit_what { AUDIT_REHYDRATED, AUDIT_REDACTED, AUDIT_TRIPPED, AUDIT_INERT, AUDIT_INERT_IN_BODY };

struct audit_event { /* spans are only valid during audit_emit(); never a value, only names */
	enum audit_kind kind;
	uint8_t id[12];
	unsigned direction; /* 0 request, 1 response */
	uint32_t seq;
	struct span agent, host, method, path; /* HEAD; path is cut to 1 KiB, secrets in it already replaced by placeholders */
	struct span secret;                    /* HITS: one event per (seq, secret, where, what) with its whole count; SUSPEND */
	enum audit_where where;
	enum audit_what what;
	unsigned count;
	struct span code; /* REFUSAL, NOTE (for example opaque_body), SUSPEND (why) */
	struct span end;  /* END */
};

struct audit_sink {
	/* 0, or -1: it could not be recorded; with `audit: required` the request is then refused (audit_unavailable) */
	int (*emit)(struct audit_sink *s, const struct audit_event *e);
};

/* Cuts what is too long (path 1 KiB, agent 64, host 300, ...), so that an event always fits AUDIT_EVENT_MAX. */
int audit_event_encode(struct buf *out, const struct audit_event *e);
int audit_event_decode(struct audit_event *e, struct span bytes) __attribute__((warn_unused_result));

/* --- master --- */

/* Records of requests that have not ended, by id. A request's line is written when every direction that had an exchange has
 * ended; one without END for 60 s is written with `end: lost`, and what still comes for it, its END too, makes a second line with the same id.
 * Requests without hit, refusal or note make no line.
 *
 * Times are milliseconds since 1970. write_line gets one JSON object and its newline; when it returns -1 the line is lost, so it
 * has to keep what it cannot write. The functions return 0, or -1: out of memory. */
struct audit_ledger;
struct audit_ledger *audit_ledger_new(int (*write_line)(void *ctx, struct span line), void *ctx);
void audit_ledger_free(struct audit_ledger *l); /* writes all open records with end: lost; NULL is allowed */
int audit_ledger_take(struct audit_ledger *l, const struct audit_event *e, uint64_t now_ms);

/* Call after each pass over all workers' pipes. An END may be read before an older event of the same request that waits in another
 * worker's pipe, so a record that has ended is written at the second settle after it. Returns how many wait for that. */
size_t audit_ledger_settle(struct audit_ledger *l);

int audit_ledger_tick(struct audit_ledger *l, uint64_t now_ms); /* about once a second */

/* A request that HAProxy refused alone, as its log line tells it: a flat JSON object. Lines without a `code` are none. */
int audit_ledger_take_log(struct audit_ledger *l, struct span json, uint64_t now_ms);

struct audit_figures {
	size_t open;    /* records */
	uint64_t lines; /* written since the start */
};
struct audit_figures audit_ledger_figures(const struct audit_ledger *l);

#endif
