/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A directory whose new contents are written beside it, in DIR/next, and then moved into place.
 */
#ifndef SLAPENIR_STAGE_H
#define SLAPENIR_STAGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "buf.h"

struct stage {
	int dir;     /* DIR */
	int next;    /* DIR/next */
	gid_t group; /* reads what is written, too; (gid_t)-1: nobody but the owner does */
};

/* Opens DIR (made with `mode` if absent); with `clean`, DIR/next is emptied and given the sub-directories named (NULL ends the
 * list), else it must be there. -1: errno. */
int stage_open(struct stage *s, const char *dir, unsigned mode, const char *const *subdirs, bool clean)
	__attribute__((warn_unused_result));
void stage_close(struct stage *s);

/* From here on `group` may read what is written, in these sub-directories too. -1: errno. */
int stage_share(struct stage *s, gid_t group, const char *const *subdirs) __attribute__((warn_unused_result));

/* All return -1 with errno. Names are relative, at most one level deep. */
int stage_write(const struct stage *s, const char *name, struct span text) __attribute__((warn_unused_result));
int stage_keep(const struct stage *s, const char *name) __attribute__((warn_unused_result)); /* links DIR/name to DIR/next/name */
int stage_adopt(const struct stage *s, const char *name) __attribute__((warn_unused_result)); /* DIR/next/name, written by other means */
bool stage_differs(const struct stage *s, const char *name); /* are DIR/name and DIR/next/name different, or one absent? */

/* Moves DIR/next/name (file or sub-directory) to DIR/name; what was there is kept as DIR/next/old-name. */
int stage_move(const struct stage *s, const char *name) __attribute__((warn_unused_result));
/* Takes a move back. */
int stage_undo(const struct stage *s, const char *name) __attribute__((warn_unused_result));

/* Appends a whole file; at as for openat(). -1 and errno: it could not be read to its end. */
int stage_slurp(int at, const char *name, struct buf *out) __attribute__((warn_unused_result));

#endif
