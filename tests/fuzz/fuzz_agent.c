/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent under arbitrary arguments, and under heads and chunks of its own stream: what it answers can be decoded, consumes no
 * more than it got, and shows no secret to an agent.
 *
 *   input: u8 how   u8 flags   u16 length of the head   head   chunk
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "exchange.h"
#include "report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "sk-proj-Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0"
#define OTHER "Tq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sa"

static void must(int truth)
{
	if (!truth)
		abort();
}

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	must(f && fputs(text, f) >= 0 && fclose(f) == 0 && chmod(path, 0600) == 0);
}

static struct policy *p;

/* It lies in an arena of its own, where the leak checker does not look. */
static void release(void)
{
	policy_free(p);
}

static const struct policy *policy(void)
{
	static const uint8_t key[32] = {7};
	char dir[] = "/tmp/fuzz-agent-XXXXXX", file[64], tokens[64];
	struct policy_options o = {.file = file, .key = key};
	struct report r = {0};

	if (p)
		return p;
	must(mkdtemp(dir) != NULL);
	snprintf(file, sizeof(file), "%s/policy.yaml", dir);
	snprintf(tokens, sizeof(tokens), "%s/tokens", dir);
	put_file(file, "secrets:\n  KEY: { file: tokens, hosts: [a.example.test], inject: [header, query, path, body] }\n"
	               "  OTHER: { file: tokens, hosts: [], placeholder: DUMMY_OTHER }\n");
	put_file(tokens, "KEY=" SECRET "\nOTHER=" OTHER "\n");
	p = policy_load(&o, &r);
	must(p != NULL && atexit(release) == 0);
	unlink(file);
	unlink(tokens);
	rmdir(dir);
	report_deinit(&r);
	return p;
}

static int hear(struct audit_sink *s, const struct audit_event *e)
{
	struct buf b = {0};

	(void)s;
	must(audit_event_encode(&b, e) == 0 && b.len <= AUDIT_EVENT_MAX);
	must(!memmem(b.p, b.len, SECRET, strlen(SECRET)) && !memmem(b.p, b.len, OTHER, strlen(OTHER)));
	buf_deinit(&b);
	return 0;
}

static void put(struct buf *m, const char *name, struct span bytes)
{
	struct spop_value v = {.type = SPOP_BIN, .bytes = bytes};

	must(frame_kv(m, name, &v) == 0);
}

static void put_number(struct buf *m, const char *name, uint64_t n)
{
	struct spop_value v = {.type = SPOP_INT64, .u = n};

	must(frame_kv(m, name, &v) == 0);
}

static void check(const struct buf *ack, size_t chunk, int response)
{
	struct span rest = span_of(ack->p + 3, ack->len - 3), name;
	struct spop_value v;
	struct answer a;

	must(ack->len > 3 && frame_next_arg(&name, &v, &rest) == 1 && !rest.len && answer_decode(&a, v.bytes) == 0);
	must(a.consumed <= chunk);
	must(!(a.flags & ANSWER_F_RESCAN) || a.consumed);
	if (response)
		must(!memmem(ack->p, ack->len, SECRET, strlen(SECRET)));
	must(!memmem(ack->p, ack->len, OTHER, strlen(OTHER))); /* bound to no host */
}

/* A head and a chunk of a well-formed message. */
static void exchange(struct agent *agent, int response, unsigned flags, struct span head, struct span chunk)
{
	struct buf m = {0}, ack = {.limit = 16384};
	struct span rest;

	put(&m, "id", span_str("123456789012"));
	put_number(&m, "seq", 1);
	put_number(&m, "flags", flags);
	put(&m, "agent", span_str("agent-1"));
	put(&m, "host", span_str("a.example.test:443"));
	put(&m, "head", head);
	put(&m, "chunk", chunk);
	rest = buf_span(&m);
	if (agent_message(agent, span_str(response ? "slapenir-response" : "slapenir-request"), 7, &rest, &ack, 1) == 0)
		check(&ack, chunk.len, response);
	buf_deinit(&m);
	buf_deinit(&ack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct policy *generation = policy();
	struct audit_sink sink = {hear};
	struct agent *agent = agent_new(&generation, 1, &sink);
	size_t head;

	must(agent != NULL);
	if (size >= 4 && data[0] & 2) {
		head = (size_t)data[2] << 8 | data[3];
		head = head < size - 4 ? head : size - 4;
		exchange(agent, data[0] & 1, EXCHANGE_F_HEAD | (data[1] & ~EXCHANGE_F_TRAILERS), span_of(data + 4, head), span_of(data + 4 + head, size - 4 - head));
	} else if (size >= 2) {
		static const char *const names[] = {"slapenir-request", "slapenir-response", "slapenir-connect", "slapenir-end-request"};
		struct span rest = span_of(data + 2, size - 2);
		struct buf ack = {.limit = 16384};

		if (agent_message(agent, span_str(names[data[0] >> 2 & 3]), data[1], &rest, &ack, 1) == 0)
			must(ack.len <= ack.limit);
		buf_deinit(&ack);
	}
	agent_free(agent);
	return 0;
}
