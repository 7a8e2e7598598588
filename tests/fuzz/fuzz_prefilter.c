/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The prefilter beside the engine. The first byte of the data chooses one of a few sets of secrets, the rest is the input, in which bytes
 * from 0x80 on stand for a whole secret in some spelling. What is no candidate the engine passes on at once and unchanged; the verdict is the same
 * in every form of the gate and for another set of the same shapes; and the regions of every form hold each beginning that was put in.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../unit/rewrite_kit.h"
#include "prefilter_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETS = 6, TWINS = 2, SECRETS = 3, INPUT_MAX = 8192, PUT_MAX = 32 };

static const char *const values[SETS][TWINS][SECRETS] = {
	{{"sk-proj-abcdefGHIJKL0123456", "ghp_xyzzy0123456789ABCDEFxyz", ""}, {"sk-proj-9ZxKqp01MmNn8765zzz", "ghp_Q0w9E8r7T6y5U4i3O2p1A0s9", ""}},
	{{"aB3dE6gH9jK2mN5pQ8sTuV1wX4yZ7012", "", ""}, {"Zz9yX8wV7uT6sR5qP4oN3mL2kJ1iH0g0", "", ""}},
	{{"xoxb-11aA22bB33cC44dD55eE", "0123456789abcdef0123456789abcdef", "98765432109876543210"},
	 {"xoxb-Zz99yY88xX77wW66vV55", "fedcba9876543210fedcba9876543210", "01234567890123456789"}},
	{{"p\"q\\r+s/tT0=u", "g h&i<j>k'l", "-_-_Abcdef"}, {"a\"Z\\9+b/cQ1=x", "q r&s<t>u'v", "-_-_Zyxwvu"}},
	{{"AKIA", "hf_a9", "npm_abcdefgh"}, {"AKIA", "hf_f3", "npm_zyxwvuts"}},
	{{"sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789ABCD", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaZ9", ""},
	 {"sk-ant-api03-ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210abcd", "Z9Z9Z9Z9Z9Z9Z9Z9Z9Z9Z9Z9Z9Z9Z9Z9Z9Z9aa", ""}},
};

static const struct gate_form *const forms[] = {&gate_portable,
#if defined(__x86_64__)
                                                &gate_ssse3, &gate_avx2, &gate_avx512
#endif
};

static struct kit kits[SETS][TWINS];
static struct prefilter *prefilters[SETS][TWINS];

static void must(int ok)
{
	if (!ok)
		abort();
}

static void teardown(void)
{
	for (unsigned i = 0; i < SETS * TWINS; i++) {
		kit_deinit(&kits[i / TWINS][i % TWINS]);
		prefilter_free(prefilters[i / TWINS][i % TWINS]);
	}
}

static void setup(void)
{
	atexit(teardown);
	for (unsigned i = 0; i < SETS * TWINS; i++) {
		struct kit *k = &kits[i / TWINS][i % TWINS];
		struct shape_set *shapes = shape_set_new();

		must(shapes != NULL);
		kit_init(k);
		for (unsigned j = 0; j < SECRETS && *values[i / TWINS][i % TWINS][j]; j++) {
			kit_add(k, "N", values[i / TWINS][i % TWINS][j], "", j);
			must(shape_set_add(shapes, &k->entry[j].shape) == 0);
			must(k->entry[j].shape.alphabet == kits[i / TWINS][0].entry[j].shape.alphabet); /* twins indeed */
		}
		kit_build(k);
		prefilters[i / TWINS][i % TWINS] = prefilter_new(shapes);
		must(prefilters[i / TWINS][i % TWINS] != NULL);
		shape_set_free(shapes);
	}
}

struct input {
	struct buf bytes;
	size_t put[PUT_MAX]; /* where secrets begin */
	unsigned count;
};

static void put_base64(struct input *in, struct span v, unsigned before, bool wrapped)
{
	uint8_t plain[128] = {0x7f, 0xfe};
	size_t n = (before + v.len + 2) / 3 * 3, i;

	memcpy(plain + before, v.p, v.len);
	for (i = 0; wrapped && i < 40; i++)
		buf_putc(&in->bytes, (uint8_t)('A' + i % 26));
	in->put[in->count - 1] = in->bytes.len + 8 * before / 6;
	for (i = 0; i < n / 3 * 4; i++) {
		unsigned three = (unsigned)plain[i / 4 * 3] << 16 | (unsigned)plain[i / 4 * 3 + 1] << 8 | plain[i / 4 * 3 + 2];

		if (wrapped && i == 4)
			buf_printf(&in->bytes, "%s", v.len % 2 ? "\r\n" : "\\n");
		buf_putc(&in->bytes, spelling_sextet_char(three >> (18 - i % 4 * 6) & 63, v.len % 2));
	}
}

static void put_hex(struct buf *out, uint8_t c, bool upper)
{
	if (upper)
		buf_printf(out, "%02X", c);
	else
		buf_printf(out, "%02x", c);
}

static void put_unit(struct buf *out, uint8_t c, unsigned kind)
{
	switch (kind) {
	case 0:
		buf_printf(out, "\\u%04x", c);
		break;
	case 1:
		buf_printf(out, "%%%02X", c);
		break;
	case 2:
		buf_printf(out, "&#%d;", c);
		break;
	case 3:
		buf_printf(out, "\\\\u%04x", c);
		break;
	case 4:
		buf_printf(out, "%%25%02x", c);
		break;
	case 5:
		buf_printf(out, "&amp;#%d;", c);
		break;
	default:
		buf_putc(out, c);
	}
}

static void put(struct input *in, struct span v, unsigned how)
{
	if (in->count == PUT_MAX || v.len > 100)
		return;
	in->put[in->count++] = in->bytes.len;
	if (how % 12 < 4) {
		put_base64(in, v, how % 4 % 3, how % 4 == 3);
		return;
	}
	for (size_t i = 0; i < v.len; i++) {
		if (how % 12 < 6)
			put_hex(&in->bytes, v.p[i], how % 2);
		else
			put_unit(&in->bytes, v.p[i], (unsigned)(how + (how % 12 > 8 ? i : 0)) % 7);
	}
}

static void expand(struct input *in, const struct kit *k, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size && in->bytes.len < INPUT_MAX; i++)
		if (data[i] < 0x80 || data[i] >= 0xf8)
			buf_putc(&in->bytes, data[i]);
		else
			put(in, k->entry[data[i] % k->count].value, (data[i] - 0x80u) / 4);
}

/* Regions in order, the beginnings that were put in among them; is there any? */
static bool regions(struct prefilter *p, const struct input *in)
{
	struct prefilter_region r = {0, 0};
	struct prefilter_scan s;
	size_t from = 0;
	unsigned i = 0;
	bool more, any = false;

	prefilter_scan_init(&s, p, buf_span(&in->bytes), 0);
	do {
		more = prefilter_next(&s, from, &r);
		any |= more;
		must(!more || (r.begin >= from && r.end > r.begin && r.end <= in->bytes.len));
		for (; i < in->count && (!more || in->put[i] < r.end); i++)
			must(in->put[i] < from || (more && in->put[i] >= r.begin));
		from = r.end;
	} while (more);
	return any;
}

static enum rewrite_verdict keep_placeholders(void *ctx, enum rewrite_match match, unsigned *entry)
{
	(void)ctx, (void)entry;
	return match == MATCH_SECRET ? REWRITE_REPLACE : REWRITE_KEEP;
}

static void engine_passes(const struct kit *k, struct span in, bool last)
{
	struct rewrite_scope scope = {.direction = REWRITE_RESPONSE};

	for (unsigned way = 0; way < 2; way++) {
		struct rewrite_hits hits = {0};
		struct rewrite_step step = {.in = in, .last = last};
		struct buf out = {0};

		if (way) {
			scope.direction = REWRITE_REQUEST;
			scope.decide = keep_placeholders;
		}
		step.out = &out;
		must(rewrite_feed(k->rewriter, &scope, &step, &hits) == REWRITE_OK);
		must(step.consumed == in.len && !step.changed);
		buf_deinit(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned set, twin, f, last;
	struct input in = {.count = 0};
	bool any;

	if (size < 2)
		return 0;
	if (!prefilters[0][0])
		setup();
	set = data[0] / TWINS % SETS;
	twin = data[0] % TWINS;
	expand(&in, &kits[set][twin], data + 1, size - 1);
	prefilters[set][twin]->form = forms[0];
	any = regions(prefilters[set][twin], &in);
	for (f = 1; f < sizeof(forms) / sizeof(forms[0]); f++)
		if (forms[f]->runs_here()) {
			prefilters[set][twin]->form = forms[f];
			must(regions(prefilters[set][twin], &in) == any);
		}
	for (last = 0; last < 2; last++) {
		bool candidate = prefilter_candidate(prefilters[set][twin], buf_span(&in.bytes), last);

		must(candidate == prefilter_candidate(prefilters[set][!twin], buf_span(&in.bytes), last));
		if (!candidate)
			engine_passes(&kits[set][twin], buf_span(&in.bytes), last);
	}
	buf_deinit(&in.bytes);
	return 0;
}
