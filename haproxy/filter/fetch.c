/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sample fetches slapenir.*: the arguments of our messages, which have a value only while HAProxy's SPOE engine encodes
 * one of them, and two that anybody may ask.
 */
#include "filter.h"

/* An exchange runs inside one call on one thread. */
static __thread struct exposed now_asking;

static bool ready; /* the canary came back sanitized, in this process */

void fetch_expose(const struct exposed *e)
{
	now_asking = e ? *e : (struct exposed){0};
}

void fetch_set_ready(void)
{
	__atomic_store_n(&ready, true, __ATOMIC_RELEASE);
}

/* 6 random bytes for each process and thread, then a counter: unique without asking anybody. */
void flow_make_id(struct flow *flow)
{
	static __thread uint8_t prefix[6];
	static __thread uint64_t counter;
	uint64_t n;

	if (flow->has_id)
		return;
	if (!counter) {
		uint64_t random = ha_random64();

		memcpy(prefix, &random, sizeof(prefix));
	}
	n = ++counter;
	memcpy(flow->id, prefix, sizeof(prefix));
	for (int i = 0; i < 6; i++)
		flow->id[6 + i] = (uint8_t)(n >> (8 * (5 - i)));
	flow->has_id = true;
}

static int give_bytes(struct sample *smp, int type, const void *p, size_t len)
{
	smp->data.type = type;
	smp->data.u.str.area = len ? (char *)p : (char *)"";
	smp->data.u.str.data = len;
	smp->data.u.str.size = 0;
	smp->flags = SMP_F_CONST | SMP_F_VOL_TEST;
	return 1;
}

static int give_int(struct sample *smp, long long v)
{
	smp->data.type = SMP_T_SINT;
	smp->data.u.sint = v;
	smp->flags = SMP_F_VOL_TEST;
	return 1;
}

static const struct side *asking_side(void)
{
	return now_asking.flow ? &now_asking.flow->side[now_asking.dir] : NULL;
}

#define FETCH(name) static int name(const struct arg *args, struct sample *smp, const char *kw, void *private)
#define UNUSED_ARGS (void)args, (void)kw, (void)private

FETCH(fetch_id)
{
	UNUSED_ARGS;
	return now_asking.flow ? give_bytes(smp, SMP_T_BIN, now_asking.flow->id, EXCHANGE_ID_BYTES) : 0;
}

FETCH(fetch_seq)
{
	UNUSED_ARGS;
	return asking_side() ? give_int(smp, asking_side()->seq) : 0;
}

FETCH(fetch_gen)
{
	UNUSED_ARGS;
	return now_asking.flow
		? give_bytes(smp, SMP_T_BIN, now_asking.flow->gen, now_asking.flow->has_gen ? EXCHANGE_GEN_BYTES : 0)
		: 0;
}

FETCH(fetch_flags)
{
	UNUSED_ARGS;
	return asking_side() ? give_int(smp, asking_side()->ask.flags) : 0;
}

/* A response's first exchange carries the request's scope; from a request, one that comes with a head has none yet. */
FETCH(fetch_scope)
{
	const struct side *side = asking_side();

	UNUSED_ARGS;
	if (!side)
		return 0;
	if (side->ask.flags & EXCHANGE_F_HEAD) {
		if (now_asking.dir == REQ)
			return give_bytes(smp, SMP_T_BIN, NULL, 0);
		side = &now_asking.flow->side[REQ];
	}
	return give_bytes(smp, SMP_T_BIN, side->scope, side->scope_len);
}

FETCH(fetch_carry)
{
	UNUSED_ARGS;
	return asking_side() ? give_bytes(smp, SMP_T_BIN, asking_side()->carry, asking_side()->carry_len) : 0;
}

FETCH(fetch_head)
{
	const struct side *side = asking_side();

	UNUSED_ARGS;
	if (!side)
		return 0;
	if (side->ask.flags & (EXCHANGE_F_HEAD | EXCHANGE_F_TRAILERS))
		return give_bytes(smp, SMP_T_BIN, side->head.p, side->head.len);
	return give_bytes(smp, SMP_T_BIN, NULL, 0);
}

FETCH(fetch_chunk)
{
	UNUSED_ARGS;
	return now_asking.flow ? give_bytes(smp, SMP_T_BIN, now_asking.chunk.p, now_asking.chunk.len) : 0;
}

FETCH(fetch_ended)
{
	const struct side *side = asking_side();

	UNUSED_ARGS;
	return side ? give_bytes(smp, SMP_T_BIN, side->ask.ended, (size_t)side->ask.ended_count * EXCHANGE_ENDED_BYTES) : 0;
}

FETCH(fetch_direction)
{
	UNUSED_ARGS;
	return now_asking.flow ? give_int(smp, now_asking.dir) : 0;
}

FETCH(fetch_end)
{
	UNUSED_ARGS;
	return now_asking.end ? give_bytes(smp, SMP_T_STR, now_asking.end, strlen(now_asking.end)) : 0;
}

FETCH(fetch_ready)
{
	UNUSED_ARGS;
	smp->data.type = SMP_T_BOOL;
	smp->data.u.sint = __atomic_load_n(&ready, __ATOMIC_ACQUIRE);
	smp->flags = SMP_F_VOL_TEST;
	return 1;
}

/* The id of the stream's request in hex, for logs. Made here if no exchange needed it yet. */
FETCH(fetch_id_hex)
{
	static __thread char hex[2 * EXCHANGE_ID_BYTES + 1];
	struct filter *f;

	UNUSED_ARGS;
	if (!smp->strm)
		return 0;
	list_for_each_entry(f, &strm_flt(smp->strm)->filters, list) {
		struct flow *flow = f->ctx;

		if (FLT_ID(f) != slapenir_id || !flow)
			continue;
		flow_make_id(flow);
		for (int i = 0; i < EXCHANGE_ID_BYTES; i++)
			snprintf(hex + 2 * i, 3, "%02x", flow->id[i]);
		return give_bytes(smp, SMP_T_STR, hex, 2 * EXCHANGE_ID_BYTES);
	}
	return 0;
}

static struct sample_fetch_kw_list fetches = {
	.kw = {
		{"slapenir.id", fetch_id, 0, NULL, SMP_T_BIN, SMP_USE_INTRN, 0, NULL},
		{"slapenir.seq", fetch_seq, 0, NULL, SMP_T_SINT, SMP_USE_INTRN, 0, NULL},
		{"slapenir.gen", fetch_gen, 0, NULL, SMP_T_BIN, SMP_USE_INTRN, 0, NULL},
		{"slapenir.flags", fetch_flags, 0, NULL, SMP_T_SINT, SMP_USE_INTRN, 0, NULL},
		{"slapenir.scope", fetch_scope, 0, NULL, SMP_T_BIN, SMP_USE_INTRN, 0, NULL},
		{"slapenir.carry", fetch_carry, 0, NULL, SMP_T_BIN, SMP_USE_INTRN, 0, NULL},
		{"slapenir.head", fetch_head, 0, NULL, SMP_T_BIN, SMP_USE_INTRN, 0, NULL},
		{"slapenir.chunk", fetch_chunk, 0, NULL, SMP_T_BIN, SMP_USE_INTRN, 0, NULL},
		{"slapenir.direction", fetch_direction, 0, NULL, SMP_T_SINT, SMP_USE_INTRN, 0, NULL},
		{"slapenir.ended", fetch_ended, 0, NULL, SMP_T_BIN, SMP_USE_INTRN, 0, NULL},
		{"slapenir.end", fetch_end, 0, NULL, SMP_T_STR, SMP_USE_INTRN, 0, NULL},
		{"slapenir.ready", fetch_ready, 0, NULL, SMP_T_BOOL, SMP_USE_INTRN, 0, NULL},
		{"slapenir.id_hex", fetch_id_hex, 0, NULL, SMP_T_STR, SMP_USE_INTRN, 0, NULL},
		{NULL, NULL, 0, NULL, 0, 0, 0, NULL},
	},
};

void fetch_register(void)
{
	sample_register_fetches(&fetches);
}
