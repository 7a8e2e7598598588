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

enum audit_kind { AUDIT_HEAD, AUDIT_HITS, AUDIT_REFUSAL, AUDIT_END, AUDIT_NOTE };
enum audit_where { AUDIT_IN_HEADER, AUDIT_IN_QUERY, AUDIT_IN_PATH, AUDIT_IN_BODY, AUDIT_IN_TRAILER };
/* what happened to an occurrence */
enum audit_what { AUDIT_REHYDRATED, AUDIT_REDACTED, AUDIT_TRIPPED, AUDIT_INERT, AUDIT_INERT_IN_BODY };

struct audit_event { /* spans are only valid during audit_emit(); never a value, only names */
	enum audit_kind kind;
	uint8_t id[12];
	unsigned direction; /* 0 request, 1 response */
	uint32_t seq;
	struct span agent, host, method, path; /* HEAD; path is cut to 1 KiB, secrets in it already replaced by placeholders */
	struct span secret;                    /* HITS: one event per name */
	enum audit_where where;
	enum audit_what what;
	unsigned count;
	struct span code; /* REFUSAL, NOTE (for example opaque_body) */
	struct span end;  /* END */
};

struct audit_sink {
	/* 0, or -1: it could not be recorded; with `audit: required` the request is then refused (audit_unavailable) */
	int (*emit)(struct audit_sink *s, const struct audit_event *e);
};

int audit_event_encode(struct buf *out, const struct audit_event *e);
int audit_event_decode(struct audit_event *e, struct span bytes) __attribute__((warn_unused_result));

/* --- master --- */
struct audit_ledger;
struct audit_ledger *audit_ledger_new(int (*write_line)(void *ctx, struct span line), void *ctx);
void audit_ledger_free(struct audit_ledger *l); /* closes all open records with end: lost */
int audit_ledger_take(struct audit_ledger *l, const struct audit_event *e, uint64_t now_ms);
int audit_ledger_tick(struct audit_ledger *l, uint64_t now_ms); /* closes records without END after 60 s */

#endif
