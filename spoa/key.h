/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The placeholder key: 32 bytes from which made placeholders and generation ids are derived. The same key gives the same
 * placeholders on every instance.
 */
#ifndef SLAPENIR_KEY_H
#define SLAPENIR_KEY_H

#include <stdint.h>

enum { KEY_BYTES = 32 };

/* From the file named by option (--key), else by $SLAPENIR_KEY_FILE, else placeholder.key in `state`, which is made on first
 * use (mode 0600; of several that make it at once one wins). -1: the reason is logged. The caller wipes key. */
int key_load(uint8_t key[KEY_BYTES], const char *option, const char *state) __attribute__((warn_unused_result));

#endif
