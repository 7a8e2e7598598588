/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the verbs that only look at a policy have in common.
 */
#ifndef SLAPENIR_VERB_POLICY_H
#define SLAPENIR_VERB_POLICY_H

#include <stdbool.h>

#include "policy.h"
#include "report.h"

/* Loads it with the placeholder key of the state directory (--key and --state as given, or NULL). lend_key: when there is no key yet, none
 * is made, and placeholders come from a random one. NULL: the reason is in the report or logged. */
struct policy *verb_load_policy(const char *file, const char *key_option, const char *state_option, bool lend_key, struct report *r);

/* --policy, else $SLAPENIR_POLICY, else that of the gateway that runs in the state directory, else policy.yaml. room is for its name. */
const char *verb_find_policy(const char *option, const char *state_option, char *room, size_t size);

#endif
