/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Our engine beside Hyperscan's streaming mode in one process, in turns: scan and replace in chunks of 16 KiB. Ours looks for every
 * spelling, Hyperscan for raw bytes only; the prefilter by itself says which chunks the filter would have to ask about.
 * Usage: engine KIND SECRETS CHUNK ROUNDS MIB; prints one line of JSON.
 */
#include <hs/hs.h>

#include "bench.h"
#include "placeholder.h"
#include "rewrite.h"

enum { VALUE_MAX = 112, ROUNDS_MAX = 64, HITS_MAX = 65536 };

struct bench {
	struct placeholder_entry *entry;
	struct rewrite_entry *rewrite;
	uint8_t (*bytes)[3][VALUE_MAX]; /* value, template, made */
	char (*name)[16];
	unsigned count;
	struct rewriter *rewriter;
	struct prefilter *prefilter;
	hs_database_t *db;
	hs_scratch_t *scratch;
	uint8_t *text, *out;
	size_t len, chunk;
	struct {
		size_t end;
		unsigned id;
	} hit[HITS_MAX];
	unsigned hits;
};

/* 20 to 110 bytes, one in three without a literal prefix; or, for text of one letter, that letter until near the end. */
static void make_secrets(struct bench *b, bool one_letter)
{
	static const char *const prefix[] = {"sk-proj-", "ghp_", "sk-ant-api03-", "glpat-", "xoxb-", "npm_", "hf_", "AKIA"};
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	for (unsigned i = 0; i < b->count; i++) {
		uint8_t *value = b->bytes[i][0];
		size_t len = 20 + below(91), n = 0;

		if (i % 3 != 2) {
			n = strlen(prefix[i % 8]);
			memcpy(value, prefix[i % 8], n);
		} else if (len < 32) {
			len = 32;
		}
		while (n < len)
			value[n++] = (uint8_t)letters[below(62)];
		if (one_letter)
			memset(value, 'a', len - 3);
		snprintf(b->name[i], sizeof(b->name[i]), "S%u", i);
		b->entry[i] = (struct placeholder_entry){.name = span_str(b->name[i]), .value = span_of(value, len), .made = b->bytes[i][2]};
		shape_of(&b->entry[i].shape, b->entry[i].value, span_of(NULL, 0), b->bytes[i][1]);
	}
}

static void compile_ours(struct bench *b, double *seconds, size_t *bytes)
{
	static const uint8_t key[KEY_BYTES] = {1};
	struct secret_arena *arena = secret_arena_new((size_t)64 << 20);
	const char *why = "arena";
	double began;
	size_t culprit;

	if (!arena || placeholder_make_all(key, b->entry, b->count, &culprit) != 0)
		die("placeholders");
	for (unsigned i = 0; i < b->count; i++)
		b->rewrite[i] = (struct rewrite_entry){.name = b->name[i], .value = b->entry[i].value,
		                                       .made = span_of(b->entry[i].made, b->entry[i].value.len), .shape = b->entry[i].shape};
	began = now();
	b->rewriter = rewriter_new(arena, b->rewrite, b->count, &why);
	*seconds = now() - began;
	*bytes = secret_arena_used(arena);
	if (!b->rewriter)
		die(why);
}

static void compile_prefilter(struct bench *b)
{
	struct shape_set *shapes = shape_set_new();

	for (unsigned i = 0; shapes && i < b->count; i++)
		if (shape_set_add(shapes, &b->entry[i].shape) != 0)
			die("shapes");
	b->prefilter = shapes ? prefilter_new(shapes) : NULL;
	if (!b->prefilter)
		die("prefilter");
	shape_set_free(shapes);
}

static void compile_hyperscan(struct bench *b)
{
	const char **expression = calloc(b->count, sizeof(*expression));
	unsigned *flags = calloc(b->count, sizeof(*flags)), *ids = calloc(b->count, sizeof(*ids));
	size_t *lens = calloc(b->count, sizeof(*lens));
	hs_compile_error_t *error;

	for (unsigned i = 0; i < b->count; i++) {
		expression[i] = (const char *)b->entry[i].value.p;
		lens[i] = b->entry[i].value.len;
		ids[i] = i;
	}
	if (hs_compile_lit_multi(expression, flags, ids, lens, b->count, HS_MODE_STREAM, NULL, &b->db, &error) != HS_SUCCESS)
		die(error->message);
	if (hs_alloc_scratch(b->db, &b->scratch) != HS_SUCCESS)
		die("hs_alloc_scratch");
	free(expression);
	free(flags);
	free(ids);
	free(lens);
}

static const char *const sse[] = {
	"data: {\"id\":\"chatcmpl-9xYzAbCdEfGhIjKlMnOpQrStUvWxY\",\"object\":\"chat.completion.chunk\",\"created\":1732444800,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
	"\"},\"finish_reason\":null}]}\n\n",
};

/* Lines of two identifiers; each with what follows it is as long as the other. */
static const char *const id_between[] = {"\", \"parent\": \"", "\"}\n   {\"id\": \""};
enum { ID_DIGITS = 40, ID_LINE = ID_DIGITS + 14 };

/* Text as it comes: source (from standard input), events, random base64, identifiers of 40 hex digits, beginnings of secrets, one letter; share30 is source of which 30 per
 * cent could be secrets without a prefix. */
static void make_text(struct bench *b, const char *kind)
{
	static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0, seed_len = 0;
	uint8_t *seed = malloc(1 << 22);
	int c;

	while (seed_len < 1 << 22 && (c = getchar()) != EOF)
		seed[seed_len++] = (uint8_t)c;
	if (seed_len == 0)
		die("give some source text on standard input");
	while (n < b->len) {
		char event[512];
		size_t take = 0, at = below((unsigned)seed_len);
		const uint8_t *from = seed + at;

		if (strncmp(kind, "sse", 3) == 0) {
			take = (size_t)snprintf(event, sizeof(event), "%sword%u and%s", sse[0], below(1000), sse[1]);
			from = (const uint8_t *)event;
		} else if (strcmp(kind, "base64") == 0) {
			for (take = 0; take < 76; take++)
				event[take] = b64[below(64)];
			from = (const uint8_t *)event;
		} else if (strcmp(kind, "ids") == 0) {
			for (take = 0; take < 2 * ID_LINE; take++)
				event[take] = take % ID_LINE < ID_DIGITS ? "0123456789abcdef"[below(16)] : id_between[take / ID_LINE][take % ID_LINE - ID_DIGITS];
			from = (const uint8_t *)event;
		} else if (strncmp(kind, "share", 5) == 0 && below(100) < (unsigned)atoi(kind + 5)) {
			for (take = 0; take < 256; take++)
				event[take] = b64[below(62)];
			from = (const uint8_t *)event;
		} else if (strncmp(kind, "share", 5) == 0) {
			take = seed_len - at < 256 ? seed_len - at : 256;
		} else if (strcmp(kind, "prefixes") == 0) {
			take = (size_t)snprintf(event, sizeof(event), "ghp_sk-proj-AKIAxoxb-hf_npm_");
			from = (const uint8_t *)event;
		} else if (strcmp(kind, "aaaa") == 0) {
			memset(event, 'a', take = 256);
			from = (const uint8_t *)event;
		} else {
			take = seed_len - at < 4096 ? seed_len - at : 4096;
		}
		if (take > b->len - n)
			take = b->len - n;
		memcpy(b->text + n, from, take);
		n += take;
	}
	for (n = 2048; strstr(kind, "-hits") && n + VALUE_MAX < b->len; n += 4096) {
		struct span v = b->entry[below(b->count)].value;

		memcpy(b->text + n, v.p, v.len);
	}
	free(seed);
}

static size_t run_ours(struct bench *b)
{
	struct rewrite_scope scope = {.direction = REWRITE_RESPONSE};
	struct rewrite_hits hits = {0};
	struct rewrite_step step = {.carry_len = 0};
	struct buf out = {.limit = 2 * b->chunk + 4096};
	size_t at = 0, changed = 0, end = 0;

	step.out = &out;
	while (at < b->len) {
		enum rewrite_result r;

		/* what was not consumed comes again in front of the next chunk */
		end = end + b->chunk < b->len ? end + b->chunk : b->len;
		step.in = span_of(b->text + at, end - at);
		step.last = end == b->len;
		buf_reset(&out);
		r = rewrite_feed(b->rewriter, &scope, &step, &hits);
		if (r != REWRITE_OK)
			die("rewrite_feed");
		memcpy(b->out, step.changed ? out.p : step.in.p, step.consumed);
		changed += step.changed;
		at += step.consumed;
	}
	buf_deinit(&out);
	return changed;
}

/* Chunks that the filter would have to ask about. */
static size_t run_prefilter(const struct bench *b)
{
	size_t at, candidates = 0;

	for (at = 0; at < b->len; at += b->chunk)
		candidates += prefilter_candidate(b->prefilter, span_of(b->text + at, b->len - at < b->chunk ? b->len - at : b->chunk), false);
	return candidates;
}

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx)
{
	struct bench *b = ctx;

	(void)from, (void)flags;
	if (b->hits < HITS_MAX) {
		b->hit[b->hits].end = (size_t)to;
		b->hit[b->hits++].id = id;
	}
	return 0;
}

static size_t run_hyperscan(struct bench *b)
{
	hs_stream_t *stream;
	size_t at, total = 0;

	if (hs_open_stream(b->db, 0, &stream) != HS_SUCCESS)
		die("hs_open_stream");
	for (at = 0; at < b->len; at += b->chunk) {
		size_t n = b->len - at < b->chunk ? b->len - at : b->chunk;

		b->hits = 0;
		if (hs_scan_stream(stream, (const char *)b->text + at, (unsigned)n, 0, b->scratch, on_match, b) != HS_SUCCESS)
			die("hs_scan_stream");
		memcpy(b->out, b->text + at, n);
		for (unsigned i = 0; i < b->hits; i++) {
			struct placeholder_entry *e = &b->entry[b->hit[i].id];

			if (b->hit[i].end >= at + e->value.len)
				memcpy(b->out + (b->hit[i].end - at - e->value.len), e->made, e->value.len);
		}
		total += b->hits;
	}
	hs_close_stream(stream, b->scratch, NULL, NULL);
	return total;
}

static int compare(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return a < b ? -1 : a > b;
}

int main(int argc, char **argv)
{
	double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], ratio[ROUNDS_MAX], shapes[ROUNDS_MAX], built;
	static struct bench b;
	size_t bytes, candidates = 0;
	int rounds, i;

	if (argc != 6)
		die("usage: engine KIND SECRETS CHUNK ROUNDS MIB < text");
	b.count = (unsigned)atoi(argv[2]);
	b.chunk = (size_t)atol(argv[3]);
	rounds = atoi(argv[4]);
	b.len = (size_t)atol(argv[5]) << 20;
	if (b.count == 0 || b.chunk == 0 || rounds < 1 || rounds > ROUNDS_MAX || b.len == 0)
		die("bad argument");
	b.entry = calloc(b.count, sizeof(*b.entry));
	b.rewrite = calloc(b.count, sizeof(*b.rewrite));
	b.bytes = calloc(b.count, sizeof(*b.bytes));
	b.name = calloc(b.count, sizeof(*b.name));
	b.text = malloc(b.len);
	b.out = malloc(2 * b.chunk + 4096);
	make_secrets(&b, strcmp(argv[1], "aaaa") == 0);
	compile_ours(&b, &built, &bytes);
	compile_prefilter(&b);
	compile_hyperscan(&b);
	make_text(&b, argv[1]);
	for (i = 0; i < rounds; i++) {
		double t0 = now(), t1, t2, t3;

		run_ours(&b);
		t1 = now();
		run_hyperscan(&b);
		t2 = now();
		candidates = run_prefilter(&b);
		t3 = now();
		shapes[i] = (double)b.len / (t3 - t2) / 1e9;
		ours[i] = (double)b.len / (t1 - t0) / 1e9;
		theirs[i] = (double)b.len / (t2 - t1) / 1e9;
		ratio[i] = ours[i] / theirs[i];
	}
	qsort(ours, (size_t)rounds, sizeof(*ours), compare);
	qsort(theirs, (size_t)rounds, sizeof(*theirs), compare);
	qsort(shapes, (size_t)rounds, sizeof(*shapes), compare);
	qsort(ratio, (size_t)rounds, sizeof(*ratio), compare);
	printf("{\"kind\": \"%s\", \"secrets\": %u, \"chunk\": %zu, \"gbps\": %.3f, \"hyperscan_gbps\": %.3f, \"ratio\": %.3f, \"build_ms\": %.1f, "
	       "\"compiled_kib\": %zu, \"prefilter_gbps\": %.3f, \"candidates\": %.3f}\n",
	       argv[1], b.count, b.chunk, ours[rounds / 2], theirs[rounds / 2], ratio[rounds / 2], built * 1e3, bytes >> 10,
	       shapes[rounds / 2], (double)candidates / (double)((b.len + b.chunk - 1) / b.chunk));
	return 0;
}
