/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "notify.h"

#include <stddef.h>

#include "exchange.h"
#include "frame.h"

enum kind { TEXT, NUMBER };

static const struct slot {
	const char *name;
	enum kind kind;
	size_t at;
	size_t max; /* bytes */
} slots[] = {
	{"id", TEXT, offsetof(struct notify, id), EXCHANGE_ID_BYTES},
	{"seq", NUMBER, offsetof(struct notify, seq), 0},
	{"gen", TEXT, offsetof(struct notify, gen), EXCHANGE_GEN_BYTES},
	{"flags", NUMBER, offsetof(struct notify, flags), 0},
	{"agent", TEXT, offsetof(struct notify, agent), 64},
	{"host", TEXT, offsetof(struct notify, host), 300},
	{"scope", TEXT, offsetof(struct notify, scope), EXCHANGE_SCOPE_MAX},
	{"carry", TEXT, offsetof(struct notify, carry), EXCHANGE_CARRY_MAX},
	{"head", TEXT, offsetof(struct notify, head), SIZE_MAX},
	{"chunk", TEXT, offsetof(struct notify, chunk), SIZE_MAX},
	{"method", TEXT, offsetof(struct notify, method), SIZE_MAX},
	{"path", TEXT, offsetof(struct notify, path), SIZE_MAX},
	{"authority", TEXT, offsetof(struct notify, authority), 300},
	{"direction", NUMBER, offsetof(struct notify, direction), 0},
	{"ended", TEXT, offsetof(struct notify, ended), EXCHANGE_ENDED_MAX * EXCHANGE_ENDED_BYTES},
	{"end", TEXT, offsetof(struct notify, end), 64},
};

static const struct slot *find(struct span name)
{
	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
		if (span_is(name, slots[i].name))
			return &slots[i];
	return NULL;
}

static int store(struct notify *n, const struct slot *slot, const struct spop_value *v)
{
	uint8_t *at = (uint8_t *)n + slot->at;

	if (v->type == SPOP_NULL)
		return 0;
	if (slot->kind == NUMBER) {
		uint32_t u = (uint32_t)v->u;

		/* HAProxy sends every integer sample as INT64 */
		if (v->type < SPOP_INT32 || v->type > SPOP_UINT64 || v->u > UINT32_MAX)
			return -1;
		memcpy(at, &u, sizeof(u));
		return 0;
	}
	if ((v->type != SPOP_STR && v->type != SPOP_BIN) || v->bytes.len > slot->max)
		return -1;
	memcpy(at, &v->bytes, sizeof(v->bytes));
	return 0;
}

int notify_decode(struct notify *n, unsigned args, struct span *rest)
{
	*n = (struct notify){0};
	while (args--) {
		const struct slot *slot;
		struct spop_value v;
		struct span name;

		if (frame_next_arg(&name, &v, rest) != 1)
			return -1;
		slot = find(name);
		if (slot && store(n, slot, &v) < 0)
			return -1;
	}
	return 0;
}
