/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "policy_internal.h"

static int build_prefix(struct policy_build *b, const char *text, struct policy_prefix *out)
{
	size_t len = strlen(text);
	struct span *views[] = {&out->separated, &out->literal};

	for (unsigned v = PATH_SEPARATED; v <= PATH_LITERAL; v++) {
		char *room = policy_build_alloc(b, len + 1);
		bool dotted = false;
		size_t n;

		if (!room)
			return -1;
		/* config_check_path() has refused what has no normal form as it stands; the other view has none for `%2F..` */
		if (path_normalize(span_of(text, len), v, room, &n, &dotted) != PATH_OK)
			n = 0;
		*views[v] = span_of(room, n);
	}
	return 0;
}

int policy_build_rule(struct policy_build *b, const struct config_list *methods, const struct config_list *paths,
                      struct policy_rule_set *out)
{
	struct span *method = NULL;
	struct policy_prefix *path = NULL;

	*out = (struct policy_rule_set){.methods_line = methods->line, .paths_line = paths->line};
	if (methods->count) {
		method = policy_build_alloc(b, methods->count * sizeof(*method));
		if (!method)
			return -1;
	}
	for (size_t i = 0; i < methods->count; i++) {
		const char *copy = policy_build_text(b, methods->item[i].text);

		if (!copy)
			return -1;
		method[i] = span_str(copy);
	}
	if (paths->count) {
		path = policy_build_alloc(b, paths->count * sizeof(*path));
		if (!path)
			return -1;
	}
	for (size_t i = 0; i < paths->count; i++)
		if (build_prefix(b, paths->item[i].text, &path[i]) < 0)
			return -1;
	out->method = method;
	out->method_count = methods->count;
	out->path = path;
	out->path_count = paths->count;
	return 0;
}

/* --- secrets share rules: a request's bitmap over them is small --- */

struct wanted {
	const char *text; /* methods and paths, sorted, each on a line */
	size_t secret;
};

static int by_text(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;
	int d = strcmp(x->text, y->text);

	return d ? d : (x->secret > y->secret) - (x->secret < y->secret);
}

static int by_item(const void *a, const void *b)
{
	return strcmp(((const struct config_text *)a)->text, ((const struct config_text *)b)->text);
}

static char *put_sorted(char *out, struct config_list *list)
{
	if (list->count)
		qsort(list->item, list->count, sizeof(*list->item), by_item);
	for (size_t i = 0; i < list->count; i++) {
		out = stpcpy(out, list->item[i].text);
		*out++ = '\n';
	}
	return out;
}

static size_t text_size(const struct config_list *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->count; i++)
		n += strlen(list->item[i].text) + 1;
	return n;
}

static int collect(struct policy_build *b, struct wanted *all, size_t *count)
{
	for (size_t i = 0; i < b->c.secret_count; i++) {
		struct config_secret *s = &b->c.secret[i];
		char *text;

		if (b->entry_of[i] == POLICY_NONE || (!s->methods.count && !s->paths.count))
			continue;
		text = tree_alloc(b->c.tree, text_size(&s->methods) + text_size(&s->paths) + 2);
		if (!text)
			return -1;
		all[(*count)++] = (struct wanted){text, i};
		text = put_sorted(text, &s->methods);
		*text++ = '\n';
		put_sorted(text, &s->paths);
	}
	if (*count)
		qsort(all, *count, sizeof(*all), by_text);
	return 0;
}

int policy_build_rules(struct policy_build *b)
{
	struct wanted *all = calloc(b->c.secret_count + 1, sizeof(*all));
	struct policy_entry *entry = (struct policy_entry *)b->p->entry;
	struct policy_rule_set *rule;
	size_t count = 0, distinct = 0;
	int rc = -1;

	if (!all || collect(b, all, &count) < 0) {
		report_error(b->r, b->o->file, 0, "out of memory");
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		distinct += i == 0 || strcmp(all[i - 1].text, all[i].text) != 0;
	if (distinct > POLICY_RULES_MAX) {
		report_error(b->r, b->o->file, b->c.secret[all[0].secret].name.line,
		             "secrets have %zu different combinations of methods: and paths:, at most %d are possible: let more of them share theirs",
		             distinct, POLICY_RULES_MAX);
		goto out;
	}
	rule = policy_build_alloc(b, (distinct + 1) * sizeof(*rule));
	if (!rule)
		goto out;
	b->p->rule = rule;
	b->p->rules = 1;
	for (size_t i = 0; i < count; i++) {
		const struct config_secret *s = &b->c.secret[all[i].secret];

		if ((i == 0 || strcmp(all[i - 1].text, all[i].text) != 0) &&
		    policy_build_rule(b, &s->methods, &s->paths, &rule[b->p->rules++]) < 0)
			goto out;
		entry[b->entry_of[all[i].secret]].rule = (uint32_t)(b->p->rules - 1);
	}
	rc = 0;
out:
	free(all);
	return rc;
}

/* --- judging --- */

void policy_target_init(struct policy_target *t, struct span method, struct span path)
{
	enum path_result literal;
	size_t n, m;

	if (path.len == 0)
		path = span_str("/");
	t->method = method;
	t->dotted = false;
	t->path = path_normalize(path, PATH_SEPARATED, t->room[0], &n, &t->dotted);
	literal = path_normalize(path, PATH_LITERAL, t->room[1], &m, &t->dotted);
	if (t->path == PATH_OK)
		t->path = literal;
	t->separated = span_of(t->room[0], n);
	t->literal = span_of(t->room[1], m);
}

static bool method_matches(const struct policy_rule_set *rule, struct span method)
{
	if (rule->method_count == 0)
		return true;
	for (size_t i = 0; i < rule->method_count; i++)
		if (span_eq(rule->method[i], method) || (span_is(rule->method[i], "GET") && span_is(method, "HEAD")))
			return true;
	return false;
}

static bool path_matches(const struct policy_rule_set *rule, const struct policy_target *t)
{
	bool separated = false, literal = !t->dotted;

	if (rule->path_count == 0)
		return true;
	if (t->path != PATH_OK)
		return false;
	for (size_t i = 0; i < rule->path_count && !(separated && literal); i++) {
		separated = separated || path_under(t->separated, rule->path[i].separated);
		literal = literal || path_under(t->literal, rule->path[i].literal);
	}
	return separated && literal;
}

enum policy_match policy_rule_match(const struct policy_rule_set *rule, const struct policy_target *t)
{
	if (!method_matches(rule, t->method))
		return POLICY_BAD_METHOD;
	return path_matches(rule, t) ? POLICY_KEEPS : POLICY_BAD_PATH;
}
