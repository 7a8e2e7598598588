/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Standard input to output as a stream through the gateway would be changed: the messages that HAProxy's filter would send are
 * made here and answered by the agent in this very process.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent.h"
#include "clock.h"
#include "exchange.h"
#include "hostname.h"
#include "verb_policy.h"
#include "verbs.h"

enum { CHUNK_DEFAULT = 256 * 1024, CHUNK_MAX = 64 * 1024 * 1024, HELD_MAX = 64 * 1024, PROGRESS_MS = 500 };

struct options {
	const char *policy, *direction, *host, *agent, *part, *chunk, *type, *method, *path, *state, *key;
};

struct job {
	struct agent *agent;
	struct audit_sink sink;
	const struct options *o;
	bool response;
	struct hostname host;
	size_t chunk;

	uint32_t seq;
	struct buf message, ack, head, in; /* in: read and not yet consumed */
	struct buf scope, gen, carry;      /* of the stream, as HAProxy keeps them */
	struct answer answer;

	uint64_t done, began_ms, said_ms;
	bool terminal;
};

static int heard(struct audit_sink *s, const struct audit_event *e)
{
	(void)s;
	(void)e;
	return 0;
}

/* --- one exchange --- */

static int put(struct buf *out, const char *name, enum spop_data type, struct span bytes)
{
	struct spop_value v = {.type = type, .bytes = bytes};

	return frame_kv(out, name, &v);
}

static int put_number(struct buf *out, const char *name, uint32_t n)
{
	struct spop_value v = {.type = SPOP_UINT32, .u = n};

	return frame_kv(out, name, &v);
}

static int put_message(struct job *j, unsigned flags, struct span head, struct span chunk)
{
	static const uint8_t id[EXCHANGE_ID_BYTES];
	struct buf *m = &j->message;
	int rc;

	buf_reset(m);
	rc = put(m, "id", SPOP_BIN, span_of(id, sizeof(id)));
	rc |= put_number(m, "seq", ++j->seq);
	rc |= put(m, "gen", SPOP_BIN, buf_span(&j->gen));
	rc |= put_number(m, "flags", flags);
	rc |= put(m, "agent", SPOP_STR, span_str(j->o->agent));
	rc |= put(m, "host", SPOP_STR, span_str(j->host.text));
	rc |= put(m, "scope", SPOP_BIN, buf_span(&j->scope));
	rc |= put(m, "carry", SPOP_BIN, buf_span(&j->carry));
	rc |= put(m, "head", SPOP_BIN, head);
	rc |= put(m, "chunk", SPOP_BIN, chunk);
	return rc;
}

/* The answer's variable is the only action of the ACK: u8 action, u8 args, u8 scope, name, typed value. */
static int take_answer(struct job *j)
{
	struct span rest = buf_span(&j->ack), name;
	struct spop_value v;

	if (rest.len < 3)
		return -1;
	rest = span_of(rest.p + 3, rest.len - 3);
	return frame_next_arg(&name, &v, &rest) == 1 && v.type == SPOP_BIN ? answer_decode(&j->answer, v.bytes) : -1;
}

static int keep(struct buf *b, struct span s)
{
	buf_reset(b);
	return buf_append_span(b, s);
}

static int refused(const struct answer *a)
{
	struct refusal_body r;

	if (refusal_decode(&r, a->payload) < 0)
		fprintf(stderr, "slapenir filter: refused\n");
	else
		fprintf(stderr, "slapenir filter: refused: %.*s: %.*s", (int)r.code.len, (const char *)r.code.p, (int)r.json.len, (const char *)r.json.p);
	return -1;
}

/* 0: j->answer is a pass. */
static int ask(struct job *j, unsigned flags, struct span head, struct span chunk)
{
	const struct answer *a = &j->answer;
	struct span rest;

	if (put_message(j, flags, head, chunk) < 0)
		goto broken;
	rest = buf_span(&j->message);
	buf_reset(&j->ack);
	if (agent_message(j->agent, span_str(j->response ? "slapenir-response" : "slapenir-request"), 10, &rest, &j->ack, clock_ms()) < 0 ||
	    take_answer(j) < 0)
		goto broken;
	if (a->verdict != ANSWER_PASS)
		return refused(a);
	if (keep(&j->gen, span_of(a->gen, sizeof(a->gen))) < 0 || keep(&j->carry, a->carry) < 0 || (a->scope.len && keep(&j->scope, a->scope) < 0))
		goto broken;
	return 0;
broken:
	fprintf(stderr, "slapenir filter: the agent did not answer: out of memory?\n");
	return -1;
}

/* --- input and output --- */

static int write_all(struct span s)
{
	while (s.len) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fprintf(stderr, "slapenir filter: standard output: %m\n");
			return -1;
		}
		s = span_of(s.p + n, s.len - (size_t)n);
	}
	return 0;
}

/* Adds at most `more` bytes to what was not consumed. 0: the end of the input. */
static ssize_t read_more(struct job *j, size_t more)
{
	ssize_t n;

	if (buf_reserve(&j->in, more) < 0) {
		fprintf(stderr, "slapenir filter: out of memory; give a smaller --chunk\n");
		return -1;
	}
	do
		n = read(STDIN_FILENO, j->in.p + j->in.len, more);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		fprintf(stderr, "slapenir filter: standard input: %m\n");
	else
		j->in.len += (size_t)n;
	return n;
}

static void drop(struct buf *b, size_t n)
{
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
}

static void show_progress(struct job *j, bool end)
{
	uint64_t now = clock_ms();
	double seconds = (double)(now - j->began_ms) / 1000, mib = (double)j->done / (1 << 20);

	if (!j->terminal || (end ? !j->said_ms : now - (j->said_ms ? j->said_ms : j->began_ms) < PROGRESS_MS))
		return;
	j->said_ms = now;
	fprintf(stderr, "\r%.0f MiB, %.0f MiB/s%s", mib, seconds > 0 ? mib / seconds : 0, end ? "\n" : "");
}

/* --- a body --- */

static int make_head(struct job *j)
{
	int rc;

	buf_reset(&j->head);
	if (j->response)
		rc = head_encode_response(&j->head, 200, 1, 1);
	else
		rc = head_encode_request(&j->head, span_str(j->o->method), span_str(j->o->path), 1, 1);
	if (rc < 0)
		fprintf(stderr, "slapenir filter: --method or --path is too long\n");
	return rc;
}

/* What is here goes to the agent until it asks for more. */
static int feed(struct job *j, bool eof)
{
	const struct answer *a = &j->answer;

	do {
		unsigned flags = eof ? EXCHANGE_F_EOM : j->in.len >= j->chunk + HELD_MAX ? EXCHANGE_F_FULL : 0;

		if (ask(j, flags, span_of(NULL, 0), buf_span(&j->in)) < 0)
			return -1;
		if (write_all(a->flags & ANSWER_F_PAYLOAD ? a->payload : span_of(j->in.p, a->consumed)) < 0)
			return -1;
		drop(&j->in, a->consumed);
		j->done += a->consumed;
	} while (a->flags & ANSWER_F_RESCAN);
	return 0;
}

static int filter_body(struct job *j)
{
	ssize_t n;

	if (make_head(j) < 0 || (j->o->type && head_encode_field(&j->head, span_str("content-type"), span_str(j->o->type)) < 0) ||
	    ask(j, EXCHANGE_F_HEAD, buf_span(&j->head), span_of(NULL, 0)) < 0)
		return -1;
	do {
		n = read_more(j, j->chunk);
		if (n < 0 || feed(j, n == 0) < 0)
			return -1;
		show_progress(j, n == 0);
	} while (n > 0);
	return 0;
}

/* --- fields --- */

static bool is_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", s.p[i]))
			return false;
	return s.len > 0;
}

/* `name: value`, else the value of Authorization. */
static void split_field(struct span line, struct span *name, struct span *value)
{
	const uint8_t *colon = line.len ? memchr(line.p, ':', line.len) : NULL;

	*name = span_of(NULL, 0);
	*value = line;
	if (!colon || !is_name(span_of(line.p, (size_t)(colon - line.p))))
		return;
	*name = span_of(line.p, (size_t)(colon - line.p));
	*value = span_of(colon + 1, line.len - name->len - 1);
	while (value->len && value->p[0] == ' ')
		*value = span_of(value->p + 1, value->len - 1);
}

static int put_lowered(struct buf *out, struct span name)
{
	buf_reset(out);
	for (size_t i = 0; i < name.len; i++)
		if (buf_putc(out, name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 32 : name.p[i]) < 0)
			return -1;
	return 0;
}

static int filter_field(struct job *j, struct span line)
{
	struct span name, value, rest;
	struct buf lowered = {0};
	struct edit e;
	int rc = -1;

	split_field(line, &name, &value);
	if (put_lowered(&lowered, name.len ? name : span_str("authorization")) < 0 || make_head(j) < 0)
		goto out;
	if (head_encode_field(&j->head, buf_span(&lowered), value) < 0) {
		fprintf(stderr, "slapenir filter: a line is longer than a field can be (65535 bytes)\n");
		goto out;
	}
	buf_reset(&j->gen);
	buf_reset(&j->carry);
	if (ask(j, EXCHANGE_F_HEAD | EXCHANGE_F_EOM | EXCHANGE_F_BODYLESS | EXCHANGE_F_WHOLE, buf_span(&j->head), span_of(NULL, 0)) < 0)
		goto out;
	rest = j->answer.edits;
	rc = 0;
	while (rc == 0 && answer_next_edit(&e, &rest) == 1) {
		if (e.op == EDIT_REMOVE)
			goto out;
		if (e.op == EDIT_FIELD)
			name = e.name;
		value = e.value;
	}
	if (name.len)
		rc = write_all(name) | write_all(span_str(": "));
	rc |= write_all(value) | write_all(span_str("\n"));
out:
	buf_deinit(&lowered);
	return rc;
}

static int filter_header(struct job *j)
{
	ssize_t n;

	do {
		const uint8_t *end;

		n = read_more(j, j->chunk);
		if (n < 0)
			return -1;
		while ((end = j->in.len ? memchr(j->in.p, '\n', j->in.len) : NULL) != NULL || (n == 0 && j->in.len)) {
			size_t len = end ? (size_t)(end - j->in.p) : j->in.len;

			if (filter_field(j, span_of(j->in.p, len)) < 0)
				return -1;
			drop(&j->in, end ? len + 1 : len);
		}
	} while (n > 0);
	return 0;
}

/* --- the verb --- */

static int usage(const char *what)
{
	fprintf(stderr,
	        "%susage: slapenir filter --policy FILE --direction request|response [--host NAME[:PORT]] [--agent CN] [--part body|header]\n"
	        "       [--content-type TYPE] [--method METHOD] [--path PATH] [--chunk BYTES] [--state DIR] [--key FILE] < IN > OUT\n"
	        "A request needs its host. With --part header each line is a field, `name: value`, or the value of Authorization.\n",
	        what);
	return 2;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	const struct { const char *name; const char **value; } named[] = {
		{"policy", &o->policy}, {"direction", &o->direction}, {"host", &o->host}, {"agent", &o->agent},
		{"part", &o->part}, {"chunk", &o->chunk}, {"content-type", &o->type}, {"method", &o->method},
		{"path", &o->path}, {"state", &o->state}, {"key", &o->key},
	};
	enum { NAMED = sizeof(named) / sizeof(named[0]) };
	struct option options[NAMED + 1] = {{0}};
	int i;

	for (i = 0; i < NAMED; i++)
		options[i] = (struct option){named[i].name, required_argument, NULL, i};
	while ((i = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (i < 0 || i >= NAMED)
			return -1;
		*named[i].value = optarg;
	}
	return optind == argc ? 0 : -1;
}

static int is_one_of(const char *s, const char *a, const char *b)
{
	return strcmp(s, a) == 0 || strcmp(s, b) == 0;
}

static int check_options(struct job *j)
{
	const struct options *o = j->o;
	char *end;
	const char *why;

	if (!o->policy || !o->direction || !is_one_of(o->direction, "request", "response") || !is_one_of(o->part, "body", "header"))
		return usage("");
	j->response = strcmp(o->direction, "response") == 0;
	if (!o->host && !j->response)
		return usage("slapenir filter: --host is missing\n");
	if (o->host && hostname_parse(&j->host, span_str(o->host), HOSTNAME_TLS_PORT, false, &why) < 0) {
		fprintf(stderr, "slapenir filter: --host %s: %s\n", o->host, why);
		return 2;
	}
	if (o->chunk) {
		j->chunk = strtoul(o->chunk, &end, 10);
		if (*end || o->chunk[0] == '-' || j->chunk == 0 || j->chunk > CHUNK_MAX)
			return usage("slapenir filter: --chunk is a number of bytes, 1 to 67108864\n");
	}
	return 0;
}

static void job_deinit(struct job *j)
{
	struct buf *all[] = {&j->message, &j->ack, &j->head, &j->in, &j->scope, &j->gen, &j->carry};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_deinit(all[i]);
	agent_free(j->agent);
}

int verb_filter(int argc, char **argv)
{
	struct options o = {.agent = "", .part = "body", .method = "POST", .path = "/"};
	struct report report = {.no_warnings = true};
	struct job j = {.o = &o, .sink.emit = heard, .chunk = CHUNK_DEFAULT, .began_ms = clock_ms(),
	                .terminal = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO)};
	const struct policy *policy;
	int rc;

	if (parse_options(argc, argv, &o) < 0)
		return usage("");
	rc = check_options(&j);
	if (rc)
		return rc;
	policy = verb_load_policy(o.policy, o.key, o.state, false, &report);
	report_print(&report, stderr);
	report_deinit(&report);
	rc = 1;
	if (policy) {
		j.agent = agent_new(&policy, 1, &j.sink);
		if (!j.agent)
			fprintf(stderr, "slapenir filter: out of memory\n");
		else if ((strcmp(o.part, "header") == 0 ? filter_header(&j) : filter_body(&j)) == 0)
			rc = 0;
	}
	job_deinit(&j);
	policy_free((struct policy *)policy);
	return rc;
}
