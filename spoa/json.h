/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The little JSON that is written and read here: strings out, flat objects in.
 */
#ifndef SLAPENIR_JSON_H
#define SLAPENIR_JSON_H

#include "buf.h"

/* Appends "s" in quotes, escaped; bytes that are not UTF-8 become U+FFFD, so that the result is always valid JSON. */
int json_string(struct buf *out, struct span s);

/* Walks the members of one flat object; begin with the whole text in *rest. 1: a member, 0: the end, -1: not such an object.
 * key and value are as they stand in the text: a string's without its quotes (is_string), any other literal whole. */
struct json_member {
	struct span key, value;
	bool is_string;
};
int json_next(struct json_member *m, struct span *rest) __attribute__((warn_unused_result));

/* Appends what an escaped string means, in UTF-8. */
int json_unescape(struct buf *out, struct span escaped) __attribute__((warn_unused_result));

#endif
