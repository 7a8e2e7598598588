/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The regions in which an occurrence may begin, in order: as the prefilter names them and the windows narrow them, and those of shapes
 * without windows. Owns nothing.
 */
#ifndef SLAPENIR_REWRITE_REGIONS_H
#define SLAPENIR_REWRITE_REGIONS_H

#include "rewrite_window.h"

struct regions {
	struct prefilter_region next; /* not yet taken, if there is `more` */
	bool more;
	size_t limit; /* of what was taken: nothing begins from there on up to `next` */
	struct prefilter_scan shapes, windowless;
	struct window_scan windows;
	size_t stretch; /* what the windows got behind the last region of the shapes */
	struct prefilter_region narrow, other; /* the first of each kind that was not yet `next` */
	bool more_narrow, more_other;
};

/* line: base64 characters of the current line in front of `in`. What begins in front of `from` is passed over. */
void regions_init(struct regions *r, const struct rewriter *rewriter, const struct automaton *automaton, struct span in, unsigned line, size_t from);
/* Takes all that begin at `at` or in front of it, and what goes on from them. */
void regions_reach(struct regions *r, size_t at);

#endif
