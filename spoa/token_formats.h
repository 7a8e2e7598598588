/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Literal prefixes of token formats that providers document. They are public, so a shape may show them.
 */
#ifndef SLAPENIR_TOKEN_FORMATS_H
#define SLAPENIR_TOKEN_FORMATS_H

#include "buf.h"

/* Length of the longest listed prefix that value begins with and that is shorter than value; 0 if there is none. */
size_t token_prefix_length(struct span value);

#endif
