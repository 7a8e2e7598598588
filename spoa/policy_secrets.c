/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "ac.h"
#include "clock.h"
#include "placeholder.h"
#include "policy_internal.h"
#include "tokens.h"

enum { VALUE_MIN = 8, VALUE_MAX = 1900, CANARY_RANDOM = 16 };

static bool left_out(struct policy_build *b, const struct config_secret *s, unsigned line, const char *why)
{
	report_left_out(b->r, b->o->file, line, "%s: %s; it gets no placeholder, the others work", s->name.text, why);
	return false;
}

/* --- values --- */

static int by_variable(const void *a, const void *b)
{
	return strcmp(((const struct policy_variable *)a)->name, ((const struct policy_variable *)b)->name);
}

/* Read at start and kept by later generations: the master's environment is wiped after the first. */
static bool find_variable(const struct policy_build *b, const char *name, struct span *value)
{
	const struct policy *previous = b->o->previous;
	struct policy_variable key = {.name = name}, *known = NULL;
	const char *text;

	if (previous && previous->variables)
		known = bsearch(&key, previous->variable, previous->variables, sizeof(key), by_variable);
	if (known) {
		*value = known->value;
		return true;
	}
	text = getenv(name);
	*value = span_str(text ? text : "");
	return text != NULL;
}

static bool find_value(struct policy_build *b, struct tokens *tokens, const struct config_secret *s, struct span *value)
{
	const char *path, *why = "out of memory";

	if (s->env.text) {
		if (find_variable(b, s->env.text, value))
			return true;
		return left_out(b, s, s->env.line, "the environment variable is not set; set it and start again, reload keeps what was read at start");
	}
	path = policy_build_path(b, s->file.text);
	return (path && tokens_find(tokens, path, s->name.text, value, &why, b->r)) || left_out(b, s, s->file.line, why);
}

/* Lines of PEM end in LF alone, in memory and on the wire: CRLF in the file is a matter of its editor. */
static bool is_armoured(const struct span *value)
{
	return memmem(value->p, value->len, "-----BEGIN ", 11) != NULL;
}

static size_t drop_returns(uint8_t *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (!(p[i] == '\r' && i + 1 < len && p[i + 1] == '\n'))
			p[n++] = p[i];
	return n;
}

static size_t longest_line(struct span v)
{
	size_t longest = 0, start = 0;

	for (size_t i = 0; i <= v.len; i++)
		if (i == v.len || v.p[i] == '\n') {
			longest = i - start > longest ? i - start : longest;
			start = i + 1;
		}
	return longest;
}

static bool check_value(struct policy_build *b, const struct config_secret *s, struct span v)
{
	unsigned line = s->file.text ? s->file.line : s->env.line;
	bool lines = memchr(v.p, '\n', v.len) != NULL;

	if (v.len == 0)
		return left_out(b, s, line, "its value is empty");
	if (memchr(v.p, 0, v.len))
		return left_out(b, s, line, "its value holds a NUL byte");
	if (memchr(v.p, '\r', v.len) || (lines && !is_armoured(&v)))
		return left_out(b, s, line, "its value holds a line break, and only PEM may: take it out");
	if (v.len < VALUE_MIN && !s->allow_short)
		return left_out(b, s, line, "its value is shorter than 8 bytes and would be found everywhere; `allow_short: true` takes it all the same");
	if (longest_line(v) > VALUE_MAX || v.len > SHAPE_LENGTH_MAX)
		return left_out(b, s, line, lines ? "its value is longer than 4096 bytes, or a line of it than 1900" :
		                            "its value is longer than 1900 bytes, so that a spelling of it could exceed half a chunk");
	if (s->prefix.text && (v.len <= strlen(s->prefix.text) || memcmp(v.p, s->prefix.text, strlen(s->prefix.text)) != 0))
		return left_out(b, s, s->prefix.line, "its value does not begin with prefix: or has nothing behind it");
	if (lines && s->placeholder.text && (s->places & CONFIG_HEADER)) {
		report_error(b->r, b->o->file, s->placeholder.line,
		             "%s: has several lines, which cannot stand in a header: take placeholder: out, or inject: only elsewhere", s->name.text);
		return false;
	}
	if (v.p[0] == ' ' || v.p[v.len - 1] == ' ' || v.p[v.len - 1] == '\t')
		report_warning(b->r, b->o->file, line, "%s: its value begins or ends with a blank, which is taken for a part of it", s->name.text);
	return true;
}

/* Fills values, entry numbers and shapes of what can be used. */
static int read_values(struct policy_build *b, struct policy_entry *entry, struct policy_variable *variable)
{
	struct tokens *tokens = tokens_new(b->scratch);
	struct policy *p = b->p;
	int rc = -1;

	for (size_t i = 0; tokens && i < b->c.secret_count; i++) {
		struct config_secret *s = &b->c.secret[i];
		struct rewrite_entry *e = &b->rewrite[p->exported];
		uint8_t *copy, *room;
		const char *given;
		struct span v;

		b->entry_of[i] = POLICY_NONE;
		if (!find_value(b, tokens, s, &v))
			continue;
		copy = secret_arena_dup(b->arena, v.p, v.len);
		if (!copy)
			goto out;
		if (s->env.text) {
			variable[p->variables++] = (struct policy_variable){policy_build_text(b, s->env.text), span_of(copy, v.len)};
			copy = secret_arena_dup(b->arena, v.p, v.len);
		}
		room = secret_arena_alloc(b->arena, v.len + 1);
		if (!copy || !room)
			goto out;
		if (is_armoured(&v))
			v.len = drop_returns(copy, v.len);
		v.p = copy;
		if (!check_value(b, s, v))
			continue;
		e->name = policy_build_text(b, s->name.text);
		given = s->placeholder.text ? policy_build_text(b, s->placeholder.text) : "";
		e->made = span_of(secret_arena_alloc(b->arena, v.len), v.len);
		if (!e->name || !given || !e->made.p)
			goto out;
		e->value = v;
		e->given = span_str(given);
		shape_of(&e->shape, v, span_str(s->prefix.text ? s->prefix.text : ""), room);
		entry[p->exported] = (struct policy_entry){.name = e->name, .line = s->name.line, .places = s->places};
		b->entry_of[i] = (uint32_t)p->exported++;
	}
	if (p->variables)
		qsort(variable, p->variables, sizeof(*variable), by_variable);
	rc = tokens ? 0 : -1;
out:
	tokens_free(tokens);
	if (rc < 0)
		report_error(b->r, b->o->file, 0, "the secrets do not fit into memory");
	return rc;
}

/* --- placeholders --- */

/* Takes an entry out of the arrays again. */
static void take_out(struct policy_build *b, struct policy_entry *entry, size_t gone)
{
	size_t after = --b->p->exported - gone;

	memmove(&b->rewrite[gone], &b->rewrite[gone + 1], after * sizeof(*b->rewrite));
	memmove(&entry[gone], &entry[gone + 1], after * sizeof(*entry));
	for (size_t i = 0; i < b->c.secret_count; i++)
		if (b->entry_of[i] == gone)
			b->entry_of[i] = POLICY_NONE;
		else if (b->entry_of[i] != POLICY_NONE && b->entry_of[i] > gone)
			b->entry_of[i]--;
}

static const struct config_secret *config_of(const struct policy_build *b, size_t entry)
{
	for (size_t i = 0; i < b->c.secret_count; i++)
		if (b->entry_of[i] == entry)
			return &b->c.secret[i];
	return NULL;
}

static int make_placeholders(struct policy_build *b, struct policy_entry *entry)
{
	struct placeholder_entry *e = calloc(b->p->exported + 1, sizeof(*e));
	size_t culprit;
	int rc = -1;

	while (e) {
		for (size_t i = 0; i < b->p->exported; i++) {
			const struct rewrite_entry *w = &b->rewrite[i];

			e[i] = (struct placeholder_entry){span_str(w->name), w->value, w->given, w->shape, (uint8_t *)w->made.p};
		}
		rc = placeholder_make_all(b->o->key, e, b->p->exported, &culprit);
		if (rc <= 0)
			break;
		left_out(b, config_of(b, culprit), entry[culprit].line,
		         "its value has too few letters and digits to make a placeholder that is found nowhere else");
		take_out(b, entry, culprit);
	}
	free(e);
	if (rc < 0)
		report_error(b->r, b->o->file, 0, "placeholders cannot be made: out of memory");
	return rc;
}

/* Who it is that placeholder i meets: pattern numbers are 2 * entry for the value, 2 * entry + 1 for a given placeholder. */
static void report_overlap(struct policy_build *b, size_t owner, size_t other, bool with_placeholder)
{
	const struct config_secret *s = config_of(b, owner);

	report_error(b->r, b->o->file, s->placeholder.line, "%s: its placeholder equals, contains or lies in %s of %s: take another one", s->name.text,
	             with_placeholder ? "the placeholder" : "the value", b->rewrite[other].name);
}

static void find_overlaps(struct policy_build *b, const struct ac *ac, const struct span *pattern, const size_t *owner, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t state = AC_ROOT;

		for (size_t at = 0; at < pattern[i].len; at++) {
			uint32_t found;
			int j;

			state = ac_step(ac, state, pattern[i].p[at]);
			for (found = state; ac_hit(ac, found) && (j = ac_next_pattern(ac, &found)) != AC_NO_PATTERN;) {
				bool given_i = owner[i] & 1, given_j = owner[j] & 1;

				if ((size_t)j != i && (given_i || given_j)) {
					report_overlap(b, owner[given_i ? i : (size_t)j] / 2, owner[given_i ? (size_t)j : i] / 2,
					               given_i && given_j);
					at = pattern[i].len;
					break;
				}
				if (found == AC_ROOT)
					break;
			}
		}
	}
}

static int check_given(struct policy_build *b)
{
	size_t count = 0, given = 0, bytes = 0;
	struct secret_arena *arena = NULL;
	struct span *pattern = calloc(2 * b->p->exported + 1, sizeof(*pattern));
	size_t *owner = calloc(2 * b->p->exported + 1, sizeof(*owner));
	unsigned errors = b->r->errors;
	const char *why = "out of memory";
	struct ac *ac = NULL;

	for (size_t i = 0; pattern && owner && i < b->p->exported; i++) {
		const struct rewrite_entry *e = &b->rewrite[i];

		for (unsigned g = 0; g < 2; g++)
			if (g == 0 || e->given.len) {
				owner[count] = 2 * i + g;
				pattern[count++] = g ? e->given : e->value;
				bytes += pattern[count - 1].len;
				given += g;
			}
	}
	if (given) {
		arena = secret_arena_new((1 << 20) + bytes * 64);
		ac = arena ? ac_new(arena, pattern, count, &why) : NULL;
		if (ac)
			find_overlaps(b, ac, pattern, owner, count);
		else
			report_error(b->r, b->o->file, 0, "placeholders cannot be compared: %s", why);
		secret_arena_free(arena);
	}
	if (!pattern || !owner)
		report_error(b->r, b->o->file, 0, "%s", why);
	free(pattern);
	free(owner);
	return b->r->errors == errors ? 0 : -1;
}

/* --- what a value says about itself --- */

static int by_value(const void *a, const void *b)
{
	const struct rewrite_entry *x = *(const struct rewrite_entry *const *)a, *y = *(const struct rewrite_entry *const *)b;
	int d;

	if (x->value.len != y->value.len)
		return x->value.len < y->value.len ? -1 : 1;
	d = memcmp(x->value.p, y->value.p, x->value.len);
	return d ? d : (x > y) - (x < y);
}

/* Warns of equal and weak values. sorted: by value, file order among equals. */
static void judge_values(struct policy_build *b, struct policy_entry *entry, struct rewrite_entry **sorted)
{
	for (size_t i = 0; i < b->p->exported; i++) {
		struct rewrite_entry *e = &b->rewrite[i];
		unsigned bits = placeholder_guess_bits(&e->shape, e->value);
		const struct config_secret *s;

		entry[i].weak = bits < PLACEHOLDER_WEAK_BITS;
		if (entry[i].weak)
			report_warning(b->r, b->o->file, entry[i].line,
			               "%s: is weak, about %u bits are left to guess when its shape is known: take a longer random value", e->name, bits);
		entry[i].placeholder = e->given.len ? e->given : e->made;
		entry[i].given_differs = e->given.len && e->given.len != e->value.len;
		if (entry[i].given_differs && (s = config_of(b, i)) != NULL)
			report_warning(b->r, b->o->file, s->placeholder.line,
			               "%s: its placeholder has another length than its value, so every response becomes chunked%s", e->name,
			               s->places & CONFIG_BODY ? ", and request bodies towards its hosts" : "");
	}
	for (size_t i = 1; i < b->p->exported; i++)
		if (span_eq(sorted[i - 1]->value, sorted[i]->value))
			report_warning(b->r, b->o->file, entry[sorted[i] - b->rewrite].line,
			               "%s: has the same value as %s; a response shows the placeholder of the first that the agent may use", sorted[i]->name,
			               sorted[i - 1]->name);
}

/* --- behind the exported ones --- */

static int add_canary(struct policy_build *b, struct policy_entry *entry)
{
	size_t prefix = strlen(POLICY_CANARY_PREFIX), n = b->p->entries;
	struct rewrite_entry *e = &b->rewrite[n];
	uint8_t *value = secret_arena_alloc(b->arena, prefix + CANARY_RANDOM);
	uint8_t *room = secret_arena_alloc(b->arena, prefix + CANARY_RANDOM);

	if (!value || !room) {
		report_error(b->r, b->o->file, 0, "out of memory");
		return -1;
	}
	memcpy(value, POLICY_CANARY_PREFIX, prefix);
	memcpy(value + prefix, b->o->canary_value, CANARY_RANDOM);
	*e = (struct rewrite_entry){.name = policy_build_text(b, POLICY_CANARY_NAME), .value = span_of(value, prefix + CANARY_RANDOM)};
	e->made = span_str(policy_build_text(b, POLICY_CANARY_PLACEHOLDER));
	shape_of(&e->shape, e->value, span_str(POLICY_CANARY_PREFIX), room);
	entry[n] = (struct policy_entry){.name = e->name, .places = INJECT_HEADER, .placeholder = e->made};
	b->p->canary = (uint32_t)n;
	b->p->entries++;
	return 0;
}

/* One value of the last generation that is no value any more. */
static int keep_value(struct policy_build *b, struct policy_entry *entry, const struct rewrite_entry *old, uint64_t expires_ms)
{
	struct rewrite_entry *e = &b->rewrite[b->p->entries];
	uint8_t *template_ = secret_arena_dup(b->arena, old->shape.template_, old->shape.length);

	*e = *old;
	e->name = policy_build_text(b, old->name);
	e->value.p = secret_arena_dup(b->arena, old->value.p, old->value.len);
	e->made.p = secret_arena_dup(b->arena, old->made.p, old->made.len);
	e->shape.template_ = template_;
	/* The same placeholder for the old value of a secret as for the new; a name that is gone needs none. */
	e->given = (struct span){0};
	for (size_t i = 0; old->given.len && i < b->p->exported; i++)
		if (strcmp(b->rewrite[i].name, old->name) == 0 && span_eq(b->rewrite[i].given, old->given))
			e->given = b->rewrite[i].given;
	if (!e->name || !e->value.p || !e->made.p || !template_) {
		report_error(b->r, b->o->file, 0, "out of memory");
		return -1;
	}
	entry[b->p->entries++] = (struct policy_entry){
		.name = e->name,
		.placeholder = e->made,
		.given_differs = e->given.len && e->given.len != e->value.len,
		.expires_ms = expires_ms,
	};
	if (!b->p->grace_ends_ms || expires_ms < b->p->grace_ends_ms)
		b->p->grace_ends_ms = expires_ms;
	return 0;
}

static int keep_old_values(struct policy_build *b, struct policy_entry *entry, struct rewrite_entry **sorted)
{
	const struct policy *old = b->o->previous;
	uint64_t now = clock_wall_ms(), ends = now + 1000ull * b->c.grace_seconds;

	for (size_t i = 0; old && i < old->entries; i++) {
		const struct rewrite_entry *e = rewriter_entry(old->rewriter, (unsigned)i);
		size_t low = 0, high = b->p->exported;
		uint64_t expires = old->entry[i].expires_ms ? old->entry[i].expires_ms : ends;

		while (low < high) {
			size_t middle = low + (high - low) / 2;
			const struct span *v = &sorted[middle]->value;
			int d = v->len != e->value.len ? (v->len < e->value.len ? -1 : 1) : memcmp(v->p, e->value.p, v->len);

			if (d == 0)
				break;
			if (d < 0)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < high || i == old->canary || expires <= now)
			continue;
		if (keep_value(b, entry, e, expires) < 0)
			return -1;
	}
	return 0;
}

static int copy_headers(struct policy_build *b, struct policy_entry *entry)
{
	for (size_t i = 0; i < b->c.secret_count; i++) {
		const struct config_list *h = &b->c.secret[i].headers;
		const char **copy;

		if (b->entry_of[i] == POLICY_NONE || !h->count)
			continue;
		copy = policy_build_alloc(b, h->count * sizeof(*copy));
		for (size_t k = 0; copy && k < h->count; k++)
			copy[k] = policy_build_text(b, h->item[k].text);
		if (!copy || !copy[h->count - 1])
			return -1;
		entry[b->entry_of[i]].header = copy;
		entry[b->entry_of[i]].header_count = h->count;
	}
	return 0;
}

int policy_build_secrets(struct policy_build *b)
{
	struct policy *p = b->p;
	size_t most = b->c.secret_count + 1 + (b->o->previous ? b->o->previous->entries : 0);
	struct policy_entry *entry = policy_build_alloc(b, most * sizeof(*entry));
	struct policy_variable *variable = policy_build_alloc(b, (b->c.secret_count + 1) * sizeof(*variable));
	struct rewrite_entry **sorted = calloc(most, sizeof(struct rewrite_entry *));
	unsigned errors = b->r->errors;
	int rc = -1;

	b->rewrite = secret_arena_alloc(b->scratch, most * sizeof(*b->rewrite));
	b->entry_of = calloc(b->c.secret_count + 1, sizeof(*b->entry_of));
	p->entry = entry;
	p->variable = variable;
	p->canary = POLICY_NONE;
	if (!entry || !variable || !sorted || !b->rewrite || !b->entry_of) {
		report_error(b->r, b->o->file, 0, "out of memory");
		goto out;
	}
	if (read_values(b, entry, variable) < 0 || make_placeholders(b, entry) < 0 || check_given(b) < 0 || copy_headers(b, entry) < 0)
		goto out;
	for (size_t i = 0; i < p->exported; i++)
		sorted[i] = &b->rewrite[i];
	if (p->exported)
		qsort(sorted, p->exported, sizeof(struct rewrite_entry *), by_value);
	judge_values(b, entry, sorted);
	p->entries = p->exported;
	if ((b->o->canary && add_canary(b, entry) < 0) || keep_old_values(b, entry, sorted) < 0)
		goto out;
	for (size_t i = 0; i < p->entries; i++)
		p->response_length_changes |= entry[i].given_differs;
	rc = b->r->errors == errors ? 0 : -1;
out:
	free(sorted);
	return rc;
}
