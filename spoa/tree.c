/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tree.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

enum {
	FILE_MAX = 8 << 20,
	DEPTH_MAX = 8, /* a policy needs four */
	SLAB = 64 << 10,
};

struct slab {
	struct slab *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

struct tree {
	struct slab *slabs; /* nodes and texts: released at once */
	struct node *root;
};

struct parser {
	yaml_parser_t yaml;
	yaml_event_t event;
	bool have_event;
	struct tree *tree;
	const char *file;
	struct report *r;
};

void *tree_alloc(struct tree *t, size_t size)
{
	struct slab *s = t->slabs;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!s || s->size - s->used < size) {
		size_t room = size > SLAB ? size : SLAB;

		s = calloc(1, sizeof(*s) + room);
		if (!s)
			return NULL;
		s->size = room;
		s->next = t->slabs;
		t->slabs = s;
	}
	p = s->bytes + s->used;
	s->used += size;
	return p;
}

static unsigned event_line(const struct parser *p)
{
	return (unsigned)p->event.start_mark.line + 1;
}

static int fail(struct parser *p, unsigned line, const char *what)
{
	report_error(p->r, p->file, line, "%s", what);
	return -1;
}

static const char alias_refused[] =
	"aliases (*name) are not allowed in a policy: write the value out; quote it if it is a wildcard, \"*.example.com\"";

static int fail_yaml(struct parser *p)
{
	const yaml_parser_t *y = &p->yaml;
	unsigned line = (unsigned)(y->problem_mark.line ? y->problem_mark.line : y->context_mark.line) + 1;

	if (y->error == YAML_MEMORY_ERROR)
		return fail(p, 0, "out of memory");
	if (y->context && strstr(y->context, "alias"))
		return fail(p, line, alias_refused);
	report_error(p->r, p->file, line, "not valid YAML: %s%s%s; mend the line or quote its text", y->problem ? y->problem : "unreadable",
	             y->context ? " " : "", y->context ? y->context : "");
	return -1;
}

static int next_event(struct parser *p)
{
	if (p->have_event)
		yaml_event_delete(&p->event);
	p->have_event = yaml_parser_parse(&p->yaml, &p->event);
	return p->have_event ? 0 : fail_yaml(p);
}

static int refuse_properties(struct parser *p, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return fail(p, event_line(p), "anchors (&name) are not allowed in a policy: write the value out where it is used");
	if (tag)
		return fail(p, event_line(p), "tags (!name) are not allowed in a policy: leave it out, and quote the value if it is a string");
	return 0;
}

static int read_scalar(struct parser *p, const char **text, bool *plain)
{
	size_t len = p->event.data.scalar.length;
	char *copy;

	if (refuse_properties(p, p->event.data.scalar.anchor, p->event.data.scalar.tag) < 0)
		return -1;
	if (memchr(p->event.data.scalar.value, 0, len))
		return fail(p, event_line(p), "a NUL byte stands in this value: take it out");
	copy = tree_alloc(p->tree, len + 1);
	if (!copy)
		return fail(p, 0, "out of memory");
	memcpy(copy, p->event.data.scalar.value, len);
	*text = copy;
	*plain = p->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
	int d = strcmp(x->key, y->key);

	return d ? d : (x->key_line > y->key_line) - (x->key_line < y->key_line);
}

static int refuse_duplicates(struct parser *p, const struct node *map, size_t count)
{
	const struct node **all;
	size_t n = 0;
	int rc = 0;

	if (count < 2)
		return 0;
	all = malloc(count * sizeof(const struct node *));
	if (!all)
		return fail(p, 0, "out of memory");
	for (const struct node *c = map->first; c; c = c->next)
		all[n++] = c;
	qsort(all, n, sizeof(const struct node *), by_key);
	for (size_t i = 1; i < n; i++)
		if (strcmp(all[i - 1]->key, all[i]->key) == 0) {
			report_error(p->r, p->file, all[i]->key_line, "%s stands here a second time, the first is on line %u: keep one",
			             all[i]->key, all[i - 1]->key_line);
			rc = -1;
		}
	free(all);
	return rc;
}

static struct node *read_node(struct parser *p, unsigned depth);

static int read_key(struct parser *p, struct node *key)
{
	if (p->event.type == YAML_ALIAS_EVENT)
		return fail(p, event_line(p), alias_refused);
	if (p->event.type != YAML_SCALAR_EVENT)
		return fail(p, event_line(p), "a key must be a string");
	key->key_line = event_line(p);
	if (read_scalar(p, &key->key, &key->key_plain) < 0)
		return -1;
	if (key->key_plain && strcmp(key->key, "<<") == 0)
		return fail(p, key->key_line, "merge keys (<<) are not allowed in a policy: write the keys out");
	return 0;
}

/* The event is the start of a list or map; read up to its end. */
static int read_children(struct parser *p, struct node *parent, unsigned depth)
{
	yaml_event_type_t end = parent->kind == NODE_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	struct node **tail = &parent->first;
	size_t count = 0;

	if (depth > DEPTH_MAX)
		return fail(p, parent->line, "nested more deeply than any policy: check the indentation");
	for (;; count++) {
		struct node key = {0}, *child;

		if (next_event(p) < 0)
			return -1;
		if (p->event.type == end)
			break;
		if (parent->kind == NODE_MAP && (read_key(p, &key) < 0 || next_event(p) < 0))
			return -1;
		child = read_node(p, depth);
		if (!child)
			return -1;
		child->key = key.key;
		child->key_line = key.key_line;
		child->key_plain = key.key_plain;
		*tail = child;
		tail = &child->next;
	}
	return parent->kind == NODE_MAP ? refuse_duplicates(p, parent, count) : 0;
}

/* The event is what the node begins with. */
static struct node *read_node(struct parser *p, unsigned depth)
{
	struct node *n = tree_alloc(p->tree, sizeof(*n));
	int rc;

	if (!n) {
		fail(p, 0, "out of memory");
		return NULL;
	}
	n->line = event_line(p);
	switch (p->event.type) {
	case YAML_SCALAR_EVENT:
		n->kind = NODE_SCALAR;
		rc = read_scalar(p, &n->text, &n->plain);
		break;
	case YAML_MAPPING_START_EVENT:
		n->kind = NODE_MAP;
		rc = refuse_properties(p, p->event.data.mapping_start.anchor, p->event.data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_START_EVENT:
		n->kind = NODE_LIST;
		rc = refuse_properties(p, p->event.data.sequence_start.anchor, p->event.data.sequence_start.tag);
		break;
	default:
		rc = fail(p, n->line, alias_refused);
	}
	if (rc == 0 && n->kind != NODE_SCALAR)
		rc = read_children(p, n, depth + 1);
	return rc == 0 ? n : NULL;
}

static int read_document(struct parser *p)
{
	do {
		if (next_event(p) < 0)
			return -1;
	} while (p->event.type == YAML_STREAM_START_EVENT || p->event.type == YAML_DOCUMENT_START_EVENT);
	if (p->event.type == YAML_STREAM_END_EVENT) {
		p->tree->root = tree_alloc(p->tree, sizeof(struct node));
		if (!p->tree->root)
			return fail(p, 0, "out of memory");
		*p->tree->root = (struct node){.kind = NODE_MAP, .line = 1};
		return 0;
	}
	p->tree->root = read_node(p, 0);
	if (!p->tree->root)
		return -1;
	do {
		if (next_event(p) < 0)
			return -1;
		if (p->event.type == YAML_DOCUMENT_START_EVENT)
			return fail(p, event_line(p), "a second document (---) begins here: a policy is one document");
	} while (p->event.type != YAML_STREAM_END_EVENT);
	return 0;
}

struct tree *tree_parse(struct span text, const char *file, struct report *r)
{
	struct parser p = {.file = file, .r = r};
	int rc;

	p.tree = calloc(1, sizeof(*p.tree));
	if (!p.tree || !yaml_parser_initialize(&p.yaml)) {
		report_error(r, file, 0, "out of memory");
		free(p.tree);
		return NULL;
	}
	yaml_parser_set_input_string(&p.yaml, text.p ? text.p : (const unsigned char *)"", text.len);
	rc = read_document(&p);
	if (p.have_event)
		yaml_event_delete(&p.event);
	yaml_parser_delete(&p.yaml);
	if (rc < 0) {
		tree_free(p.tree);
		return NULL;
	}
	return p.tree;
}

struct tree *tree_load(const char *file, struct report *r)
{
	struct tree *t = NULL;
	struct buf text = {.limit = FILE_MAX};
	uint8_t piece[4096];
	struct stat st;
	size_t n;
	FILE *f = fopen(file, "re");

	if (!f) {
		report_error(r, file, 0, "cannot be opened: %s", strerror(errno));
		return NULL;
	}
	if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
		report_error(r, file, 0, "is a directory: name the policy file in it");
		fclose(f);
		return NULL;
	}
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		if (buf_append(&text, piece, n) < 0)
			break;
	if (n > 0)
		report_error(r, file, 0, "is larger than 8 MiB");
	else if (ferror(f))
		report_error(r, file, 0, "cannot be read: %s", strerror(errno));
	else
		t = tree_parse(buf_span(&text), file, r);
	fclose(f);
	buf_deinit(&text);
	return t;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	while (t->slabs) {
		struct slab *s = t->slabs;

		t->slabs = s->next;
		free(s);
	}
	free(t);
}

const struct node *tree_root(const struct tree *t)
{
	return t->root;
}

static bool is_number(const char *s)
{
	char *end;

	if (!isdigit((unsigned char)s[0]) && !strchr("+-.", s[0]))
		return false;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'o')) {
		strtoull(s + 2, &end, s[1] == 'x' ? 16 : 8);
		return s[2] && !*end;
	}
	if (strcasecmp(s, ".nan") == 0 || strcasecmp(s, ".inf") == 0 || strcasecmp(s, "-.inf") == 0 || strcasecmp(s, "+.inf") == 0)
		return true;
	if (strpbrk(s, "nNxXpP")) /* what strtod() takes and YAML does not: nan, inf, hexadecimal floats */
		return false;
	strtod(s, &end);
	return end != s && !*end;
}

const char *tree_plain_type(const char *text, bool plain)
{
	static const char *const booleans[] = {"true", "false", "yes", "no", "on", "off"};

	if (!plain)
		return NULL;
	if (!*text || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0)
		return "empty";
	for (size_t i = 0; i < sizeof(booleans) / sizeof(booleans[0]); i++)
		if (strcasecmp(text, booleans[i]) == 0)
			return "a boolean";
	return is_number(text) ? "a number" : NULL;
}
