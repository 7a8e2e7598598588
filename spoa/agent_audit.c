/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent_internal.h"

static int tell(struct exchange *x, struct audit_event *e)
{
	if (x->quiet)
		return REFUSAL_NONE;
	memcpy(e->id, x->n->id.p, sizeof(e->id));
	e->direction = x->response;
	e->seq = x->n->seq;
	e->agent = x->n->agent;
	e->host = x->n->host;
	return x->a->sink->emit(x->a->sink, e) < 0 ? REFUSAL_AUDIT_UNAVAILABLE : REFUSAL_NONE;
}

/* What makes a line in the log asks for its END too. */
static int tell_line(struct exchange *x, struct audit_event *e)
{
	if (!x->quiet)
		x->answer.flags |= ANSWER_F_AUDITED;
	return tell(x, e);
}

/* The log holds no secret, not even one that an agent wrote into a path. */
int agent_tell_head(struct exchange *x, struct span method, struct span path)
{
	struct audit_event e = {.kind = AUDIT_HEAD};
	struct buf *logged = &x->a->scratch[SCRATCH_PART];
	size_t path_at;

	buf_wipe(logged);
	if (head_logged(x->p, method, logged) < 0)
		return AGENT_MALFORMED;
	path_at = logged->len;
	if (head_logged(x->p, path, logged) < 0)
		return AGENT_MALFORMED;
	e.method = span_of(logged->p, path_at);
	if (logged->len > path_at) /* else there may be no bytes at all to point into */
		e.path = span_of(logged->p + path_at, logged->len - path_at);
	return tell(x, &e);
}

int agent_tell_note(struct exchange *x, const char *code)
{
	struct audit_event e = {.kind = AUDIT_NOTE, .code = span_str(code)};

	return tell_line(x, &e);
}

void agent_tell_end(struct exchange *x, struct span how)
{
	struct audit_event e = {.kind = AUDIT_END, .end = how};

	tell(x, &e); /* the record closes by itself when this is lost */
}

void agent_tell_ended(struct agent *a, struct span ended)
{
	struct audit_event e = {.kind = AUDIT_END, .end = span_str("complete")};

	for (size_t at = 0; at + EXCHANGE_ENDED_BYTES <= ended.len; at += EXCHANGE_ENDED_BYTES) {
		memcpy(e.id, ended.p + at, sizeof(e.id));
		e.direction = ended.p[at + EXCHANGE_ID_BYTES] != 0;
		a->sink->emit(a->sink, &e);
	}
}

void agent_tell_refusal(struct exchange *x, enum refusal_code code)
{
	struct audit_event e = {.kind = AUDIT_REFUSAL, .code = span_str(refusal_get(code)->code)};

	tell(x, &e); /* that it cannot be recorded is no reason to let it pass */
}

static enum audit_what what_of(const struct exchange *x, enum audit_where where, enum rewrite_verdict verdict)
{
	if (verdict == REWRITE_STOP)
		return AUDIT_TRIPPED;
	if (verdict == REWRITE_REPLACE)
		return x->response ? AUDIT_REDACTED : AUDIT_REHYDRATED;
	return where == AUDIT_IN_BODY ? AUDIT_INERT_IN_BODY : AUDIT_INERT;
}

/* The ledger takes a second event of the same (name, where, what) in one exchange for a retry, so equal ones are added up: a
 * made and a given placeholder are two hits and one event, a value in grace has the name of its successor. */
static int tell_place(struct exchange *x, enum audit_where where, bool tripped)
{
	struct rewrite_hits *hits = &x->a->hits[where];
	struct audit_event e = {.kind = AUDIT_HITS, .where = where};

	for (unsigned i = 0; i < hits->used; i++) {
		const char *name = policy_secret_name(x->p, hits->hit[i].entry);

		e.what = what_of(x, where, hits->hit[i].verdict);
		e.secret = span_str(name);
		e.count = 0;
		for (unsigned k = i; k < hits->used; k++) {
			struct rewrite_hit *same = &hits->hit[k];

			if (what_of(x, where, same->verdict) != e.what || strcmp(policy_secret_name(x->p, same->entry), name) != 0)
				continue;
			e.count += same->count;
			same->count = 0;
		}
		if (e.count && (e.what == AUDIT_TRIPPED) == tripped && tell_line(x, &e) != REFUSAL_NONE)
			return REFUSAL_AUDIT_UNAVAILABLE;
	}
	if (!hits->lost || tripped)
		return REFUSAL_NONE;
	e.secret = span_str("(more names)");
	e.what = what_of(x, where, x->response ? REWRITE_REPLACE : REWRITE_KEEP);
	e.count = hits->lost;
	return tell_line(x, &e);
}

int agent_tell_hits(struct exchange *x)
{
	for (unsigned where = 0; where < AGENT_PLACES; where++)
		if (tell_place(x, where, false) != REFUSAL_NONE)
			return REFUSAL_AUDIT_UNAVAILABLE;
	return REFUSAL_NONE;
}

/* A secret that the engine did not count: in a lowered name, or across the parts of a uri. */
static void count_uncounted(struct exchange *x)
{
	struct rewrite_hits *hits = x->a->hits;

	for (unsigned where = 0; where < AGENT_PLACES; where++)
		for (unsigned i = 0; i < hits[where].used; i++)
			if (hits[where].hit[i].verdict == REWRITE_STOP)
				return;
	hits[AUDIT_IN_HEADER].used = 1;
	hits[AUDIT_IN_HEADER].hit[0] = (struct rewrite_hit){.entry = (unsigned)x->judge.tripped, .count = 1, .match = MATCH_SECRET, .verdict = REWRITE_STOP};
}

/* Of what else was found in the exchange nothing has gone out, so nothing is told. */
void agent_tell_tripped(struct exchange *x)
{
	unsigned entry = (unsigned)x->judge.tripped;
	struct audit_event e = {.kind = AUDIT_SUSPEND, .secret = span_str(policy_secret_name(x->p, entry))};
	bool weak = policy_secret_weak(x->p, entry), often;

	count_uncounted(x);
	for (unsigned where = 0; where < AGENT_PLACES; where++)
		tell_place(x, where, true);
	if (x->quiet)
		return;
	often = trips_count(&x->a->trips, x->n->agent, x->now_ms);
	if (!weak && !often && !policy_tripwire_suspends(x->p))
		return;
	e.code = span_str(weak ? "weak_secret" : "tripwire");
	agent_suspend(x->a, x->n->agent, true);
	tell(x, &e);
}
