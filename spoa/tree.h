/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A YAML document as a tree in which everything knows its line. Only what a policy needs: one document of mappings, lists and
 * scalars. Anchors, aliases, merge keys, tags and duplicate keys are errors, because they make a policy say something else
 * than it seems to.
 *
 *   hosts:                      map ── key "hosts", line 1
 *     docs.python.org: {}        └─ map ── key "docs.python.org", line 2 ── map (empty)
 */
#ifndef SLAPENIR_TREE_H
#define SLAPENIR_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "report.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	unsigned line;     /* from 1 */
	const char *text;  /* of a scalar, without NUL bytes inside */
	bool plain;        /* a scalar without quotes */
	const char *key;   /* of a member of a map, else NULL */
	unsigned key_line;
	bool key_plain;
	struct node *first, *next; /* children of a list or a map, in file order */
};

struct tree;

/* NULL: the report says why. An empty document is an empty map. file is only named in messages. */
struct tree *tree_parse(struct span text, const char *file, struct report *r);
/* Reads the file; at most 8 MiB. */
struct tree *tree_load(const char *file, struct report *r);
void tree_free(struct tree *t);
const struct node *tree_root(const struct tree *t);
/* Zeroed memory that lives as long as the tree, for what is made from it. NULL: out of memory. */
void *tree_alloc(struct tree *t, size_t size);

/* What YAML takes an unquoted scalar for: NULL for a string, else "a number", "a boolean" or "empty". */
const char *tree_plain_type(const char *text, bool plain);

#endif
