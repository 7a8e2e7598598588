/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes of token files: whole or not at all, one at a time, everything else in the file as it was.
 */
#ifndef SLAPENIR_TOKEN_EDIT_H
#define SLAPENIR_TOKEN_EDIT_H

#include "buf.h"

/* Gives NAME this value: in its line, or in a new last one; a file that is not there is made (mode 0600, its directory 0700). value.p
 * NULL: takes the line out. Of a .pem file the value is the whole. 1: done, 0: there was no such line to take out, -1: nothing was changed and the reason is logged. */
int token_edit(const char *path, const char *name, struct span value) __attribute__((warn_unused_result));

/* Appends NAME=VALUE and a line end to out, so that tokens_next() reads it back as it is. -1: it cannot be written in a line (NUL, a
 * carriage return without line feed), or out of memory. */
int token_line(struct buf *out, struct span name, struct span value) __attribute__((warn_unused_result));

#endif
