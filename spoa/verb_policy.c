/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verb_policy.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "key.h"
#include "log.h"
#include "state.h"

static int find_key(uint8_t key[KEY_BYTES], const char *key_option, const char *state_option, bool lend_key)
{
	char state[PATH_MAX], file[PATH_MAX];

	if (state_default(state, sizeof(state), state_option) < 0 || state_path(file, sizeof(file), state, STATE_PLACEHOLDER_KEY) < 0) {
		log_error("no usable state directory for the placeholder key: give --state DIR");
		return -1;
	}
	if (lend_key && !key_option && !getenv("SLAPENIR_KEY_FILE") && access(file, F_OK) != 0)
		return RAND_bytes(key, KEY_BYTES) == 1 ? 0 : -1;
	return key_load(key, key_option, state);
}

struct policy *verb_load_policy(const char *file, const char *key_option, const char *state_option, bool lend_key, struct report *r)
{
	struct policy_options o = {.file = file};
	struct policy *p = NULL;
	uint8_t key[KEY_BYTES];

	if (secret_process_harden() < 0)
		log_error("this process cannot be closed to debuggers and core dumps");
	else if (find_key(key, key_option, state_option, lend_key) == 0) {
		o.key = key;
		p = policy_load(&o, r);
	}
	OPENSSL_cleanse(key, sizeof(key));
	return p;
}

const char *verb_find_policy(const char *option, const char *state_option, char *room, size_t size)
{
	char state[PATH_MAX], socket[PATH_MAX];
	struct buf answer = {.limit = PATH_MAX};
	const char *from = option ? option : getenv("SLAPENIR_POLICY");

	if (from)
		return from;
	if (state_default(state, sizeof(state), state_option) == 0 && state_path(socket, sizeof(socket), state, STATE_CONTROL_SOCK) == 0 &&
	    access(socket, F_OK) == 0 && control_ask(socket, "policy", &answer) == 0 && answer.len > 3 && answer.len - 3 < size &&
	    memcmp(answer.p, "ok ", 3) == 0) {
		memcpy(room, answer.p + 3, answer.len - 3);
		room[answer.len - 3] = '\0';
		room[strcspn(room, "\n")] = '\0';
		from = room;
	}
	buf_deinit(&answer);
	return from ? from : "policy.yaml";
}
