/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the parts of the filter share. A stream has one `struct flow`, a flow two `struct side`s. docs/filter.md tells
 * the story; docs/protocol.md is what is said to the agent.
 *
 * A side's message lies in HAProxy's channel buffer all the time. From the filter's offset on:
 *
 *      offset          +decided          +seen              end of what has come
 *        |---------------|------------------|---------------------|
 *         may be           the agent saw      not looked at yet
 *         forwarded        them and holds
 *
 * Only decided bytes are ever forwarded. What the agent is asked about begins at offset+decided.
 */
#ifndef SLAPENIR_FILTER_H
#define SLAPENIR_FILTER_H

#include "compat.h"

#include "buf.h"
#include "exchange.h"
#include "refusal.h"
#include "shape.h"

enum { REQ, RES };

enum {
	ASK_TRIES = 3,
	ASK_TRY_MS = 1000,        /* of each try; a silent worker is dead by the next */
	ASK_LAST_TRY_MS = 1200,   /* after the first one: dead workers are back by then */
	ASK_ALL_MS = 3000,
	END_WAIT_MS = 1000,
};

/* One exchange with the agent and its repetitions. */
struct ask {
	bool pending; /* begun and not answered */
	bool running; /* HAProxy's SPOE engine works on it now, else the next try waits for `next` */
	unsigned tries;
	int first, next, deadline; /* ticks: first try, next try, end of this one */
	unsigned flags;            /* EXCHANGE_F_… */
	size_t chunk_len;          /* bytes from offset+decided on */
	uint64_t epoch;            /* of the shapes when it began */
	uint8_t ended_count, ended[EXCHANGE_ENDED_MAX * EXCHANGE_ENDED_BYTES]; /* told along: see ended.c */
};

enum phase {
	PHASE_NEW,    /* nothing of the message was looked at */
	PHASE_GATHER, /* a body that is to be judged whole is not whole yet */
	PHASE_HEAD,   /* the head is with the agent */
	PHASE_HOLD,   /* the head is allowed and held until the whole body is */
	PHASE_BODY,   /* the head may go */
};

struct side {
	enum phase phase;
	struct ask ask;
	uint32_t seq;
	uint8_t carry[EXCHANGE_CARRY_MAX], carry_len;
	uint16_t scope_len;
	uint8_t scope[EXCHANGE_SCOPE_MAX];
	struct buf head; /* serialized head; kept until it was sent, or for a LATE_HEAD */
	struct buf rest; /* output that found no room in the channel yet */
	size_t rest_sent, decided, seen;
	size_t last_chunk; /* length of the last chunk that was asked about */
	unsigned patience; /* times a tiny remainder was let grow */
	bool seen_end, seen_full;
	bool held_here; /* what is seen and not decided is held because of a shape, so the filter may judge what follows */
	bool head_sent; /* to the agent */
	bool whole, expects_100, length_may_change, opaque;
	bool came_chunked;
	bool until_close; /* the connection's end delimits what comes from the server */
	bool head_left;   /* the head was released */
	bool complete;    /* all of the message was decided and forwarded */
	bool cut, reset;  /* reset: the receiver was shown that what it has is not the whole */
	bool ended;       /* nothing more of it is looked at */
	bool input_ended; /* its sender had gone by then */
};

struct flow {
	struct slapenir_conf *conf;
	uint8_t id[EXCHANGE_ID_BYTES], gen[EXCHANGE_GEN_BYTES];
	bool has_id, has_gen;
	bool audited;     /* something of the request is in the audit log, which waits for an end */
	bool told;        /* the agent knows from its own answer that the request is over */
	bool canary_sent; /* this is the canary request and its credential was replaced */
	struct side side[2];
};

struct slapenir_conf {
	struct proxy *px;
	char *engine[2];
	struct act_rule *exchange[2], *end[2];
	char *canary;           /* canonical host of the canary, or NULL */
	char *shapes_name;      /* file in shapes_dir, or NULL: everything is exchanged */
	int shapes_dir;
	struct shapes **shapes; /* one for each thread */
};

extern const char slapenir_id[];
extern struct flt_ops slapenir_ops;

/* --- conf.c: the `filter` line --- */
int conf_parse(char **args, int *cur, struct proxy *px, struct flt_conf *fconf, char **err, void *private);
int conf_check(struct proxy *px, struct flt_conf *fconf);
void conf_deinit(struct proxy *px, struct flt_conf *fconf);

/* --- fetch.c: sample fetches --- */
void fetch_register(void);
/* What slapenir.* arguments of a message evaluate to while an exchange runs; NULL when none does. */
struct exposed {
	struct flow *flow;
	int dir;
	struct span chunk;
	const char *end; /* of an END message, else NULL */
};
void fetch_expose(const struct exposed *e);
void flow_make_id(struct flow *flow);
void fetch_set_ready(void);

/* --- ask.c: one exchange --- */
enum ask_result { ASK_WAIT, ASK_ANSWERED, ASK_FAILED };

/* Bytes that fit a frame beside a head of that length; negative: not even the head does. */
ssize_t ask_room(const struct side *side, size_t head_len);
void ask_begin(struct flow *flow, int dir, unsigned flags, size_t chunk_len);
/* chunk: the bytes that ask_begin() spoke of, wherever they are now. ASK_ANSWERED: *answer is valid until
 * ask_release() and fits the question. */
enum ask_result ask_step(struct stream *s, struct flow *flow, int dir, struct span chunk, struct answer *answer);
void ask_release(struct stream *s, int dir);
void ask_cancel(struct stream *s, struct flow *flow, int dir);
/* Tells the agent how the direction ended. true: done (or given up), false: call again. */
bool ask_end(struct stream *s, struct flow *flow, int dir, const char *how);
/* A variable of the transaction as text; empty when unset. */
struct span flow_var(struct stream *s, const char *name);

/* --- ended.c: ends that may be told later --- */
bool ended_put(const struct flow *flow, int dir); /* false: it has to be told at once */
void ended_take(const struct flow *flow, struct ask *ask);
void ended_give_back(struct ask *ask); /* they were not heard */

/* --- head.c: heads and trailers in HTX --- */
int head_serialize(struct buf *out, struct htx *htx, int dir);
/* Free of control characters in values, which HAProxy 2.6 lets pass and other parsers may end a value at. */
bool head_is_clean(struct htx *htx, int dir);
bool trailers_are_clean(struct htx *htx, struct htx_blk *first, int dir);
int trailers_serialize(struct buf *out, struct htx *htx, struct htx_blk *first);
/* -1: no room, or an edit that makes no sense. `credential` is set when the value of `authorization` was replaced. */
int head_apply(struct htx *htx, const struct answer *a, bool *credential);
/* Replaces the trailers, which are the end of the message, by `serialized` with the edits. Returns the change of length in
 * *delta. */
int trailers_apply(struct htx *htx, struct htx_blk *first, struct span serialized, const struct answer *a, int *delta);
struct htx_blk *head_find(struct htx *htx, const char *name);
bool head_remove(struct htx *htx, const char *name); /* all of that name; true if there was one */
int head_standard_reason(struct htx *htx);
void head_strip(struct htx *htx); /* every field */
int head_continue(struct stream *s); /* answers 100 to the client */
int head_make_chunked(struct stream *s, struct http_msg *msg);
int head_set_length(struct http_msg *msg, size_t length);

/* --- body.c: data in HTX --- */
struct view {
	struct span bytes; /* valid until HTX or the thread's scratch buffer changes */
	bool end;          /* nothing of the body follows them */
	bool trailers;     /* they are followed by trailers, which are all there */
	bool mark;         /* by the end-of-trailers mark alone */
	bool more;         /* `limit` cut them off */
	struct htx_blk *next;
};

void body_view(struct view *v, struct htx *htx, size_t offset, size_t avail, size_t limit, bool closed);
/* Puts `payload` in the place of `len` bytes at offset. What finds no room goes to the end of `rest`. Returns the bytes
 * that stand there now, -1 when memory is out. */
ssize_t body_replace(struct htx *htx, size_t offset, size_t len, struct span payload, struct buf *rest);
/* Writes patches over `len` bytes at offset; none leaves them as they are. Returns len, -1: patches that make no sense. */
ssize_t body_patch(struct htx *htx, size_t offset, size_t len, struct span patches);
size_t body_insert(struct htx *htx, size_t offset, struct span bytes); /* what fits; returns how much */
size_t body_size(const struct htx *htx);                               /* DATA in the buffer */

/* --- refuse.c --- */
/* While nothing of an answer has left the client gets it; else both sides see that what they have is not the whole. Returns
 * what the callback is to return. */
int refuse(struct stream *s, struct flow *flow, int dir, const struct refusal_body *why);
/* REFUSAL_NONE: a malformed message, 400 or 502 without a code as from HAProxy's own parser. */
int refuse_code(struct stream *s, struct flow *flow, int dir, enum refusal_code code);

/* --- shapes.c: what may be judged here --- */
struct shapes *shapes_new(const char *name, int dir);
void shapes_free(struct shapes *shapes);
/* NULL: there is no shapes file that can be trusted now, exchange everything. */
const struct prefilter *shapes_current(struct flow *flow);
bool shapes_verdict_known(struct flow *flow, int dir, struct span agent, struct span host);
uint64_t shapes_epoch(struct flow *flow);
/* After a refusal, which may have suspended the agent: the next requests are asked about, whatever the file says yet. */
void shapes_verdicts_forget(struct flow *flow);
void shapes_verdict_learn(struct flow *flow, int dir, struct span agent, struct span host, const uint8_t *gen, uint64_t epoch);
bool shapes_head_is_clean(struct flow *flow, struct span head);

/* --- clean.c: bytes of a body that need no exchange --- */
/* true: nothing of a secret or placeholder is whole in them, and the first *pass may go; behind those one may begin. */
bool clean_judge(struct flow *flow, const struct side *side, const struct view *v, size_t *pass);
void clean_pass(struct side *side, const struct view *v, size_t pass);
/* Is a shape the reason why the agent holds these? */
bool clean_explains(struct flow *flow, const struct side *side, struct span held);

/* --- message.c: a message on its way --- */
int message_headers(struct stream *s, struct filter *f, struct http_msg *msg);
int message_payload(struct stream *s, struct filter *f, struct http_msg *msg, unsigned offset, unsigned len);

#endif
