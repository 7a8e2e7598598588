/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Token files: dotenv lines KEY=VALUE, or, when the name ends in .pem, one value that is the whole file. Values are read into an
 * arena of the reader's and never appear in a message.
 */
#ifndef SLAPENIR_TOKENS_H
#define SLAPENIR_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "report.h"
#include "secret.h"

struct tokens; /* each file is read once */

struct tokens *tokens_new(struct secret_arena *arena); /* NULL: out of memory */
void tokens_free(struct tokens *t);                    /* values stay, they are the arena's */

/* The value of `name` in the file. false: *why says what is missing, in words that follow "NAME: " (valid until the next call).
 * Mistakes in the file itself are errors in the report, once. */
bool tokens_find(struct tokens *t, const char *path, const char *name, struct span *value, const char **why, struct report *r);

/* Is the whole file the value? By its name. */
bool tokens_is_whole(const char *path);

/* Walks the lines of a dotenv text: 1: a token, 0: the end, -1: the line is none (*line is its number). Decodes the value where it
 * stands. */
struct token {
	struct span key, value;
	unsigned line;
	struct span whole; /* the line as it stood, with its end: valid only if nothing in it had to be decoded */
};
int tokens_next(struct token *token, uint8_t *text, size_t len, size_t *at);

#endif
