/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One request in the ledger: what its events add up to, and its line.
 *
 *   OPEN --- END or refusal ---> FRESH --- settle ---> RIPE --- settle: the line ---> CLOSED --- 5 s ---> gone
 *     \--- 60 s of silence: the line, `lost`; forgotten after an hour of silence; an END by then is another line
 *
 * A closed record stays for a while, because a retry after a worker's death repeats events that were counted already.
 */
#ifndef SLAPENIR_AUDIT_RECORD_H
#define SLAPENIR_AUDIT_RECORD_H

#include "audit.h"

enum record_stage { RECORD_OPEN, RECORD_FRESH, RECORD_RIPE, RECORD_CLOSED };

struct record_counter {
	char *name;
	enum audit_where where;
	enum audit_what what;
	unsigned direction;
	uint64_t count;
};

struct record_seen { /* exchange seq has been counted in that counter */
	uint32_t seq;
	uint32_t counter;
};

struct record {
	struct record *next;       /* in the ledger's bucket */
	struct record *ended_next; /* in the ledger's list of fresh and ripe ones */
	uint8_t id[12];
	bool has_id;
	uint64_t first_ms, last_ms;
	char *agent, *host, *method, *path, *client, *code, *end;
	bool refused, written;
	bool lost; /* the last line said so */
	bool had[2], ended[2]; /* by direction: any event; END */
	uint32_t newest[2];
	enum record_stage stage;
	struct record_counter *counters;
	size_t counters_used;
	struct record_seen *seen;
	size_t seen_used, seen_cap;
};

/* Adds an event up; one that was counted before changes nothing. -1: out of memory. */
int record_take(struct record *r, const struct audit_event *e);

/* Keeps a copy of s, unless something is kept there already or s is empty. -1: out of memory. */
int record_keep(char **where, struct span s);

/* All directions that matter have ended. */
bool record_has_ended(const struct record *r);

/* Is there anything to say that no line has said yet? */
bool record_has_news(const struct record *r);

/* Appends the line; end may be NULL. -1: out of memory, out is unchanged. */
int record_format(struct buf *out, const struct record *r, const char *end);

/* What was said is said: counts go to zero, what was seen stays. A line that says `lost` is not the last word. */
void record_said(struct record *r, bool lost);

void record_deinit(struct record *r);

#endif
