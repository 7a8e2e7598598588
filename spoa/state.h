/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where things lie under $STATE, in one place. All functions fill `out` (PATH_MAX) and return -1 when it does not fit.
 */
#ifndef SLAPENIR_STATE_H
#define SLAPENIR_STATE_H

#include <stddef.h>

enum state_file {
	STATE_CA_CRT, STATE_AGENT_CRT, STATE_AGENT_KEY, STATE_AGENT_ENV, STATE_AUDIT_LOG, STATE_CONTROL_SOCK,
	STATE_PLACEHOLDER_KEY,   /* placeholder.key, 0600 */
	STATE_CA_DIR,            /* ca/, 0700, the master's: root, interception CA and proxy keys */
	STATE_HAPROXY_DIR,       /* haproxy/: rendered */
	STATE_SHAPES,            /* haproxy/shapes */
	STATE_RUN_DIR,           /* run/: HAProxy's chroot, 0700, its user's; or /run/slapenir-HASH when STATE is over 60 bytes */
	STATE_SPOA_SOCK,         /* RUN_DIR/spoa.sock; HAProxy dials /spoa.sock inside the chroot */
	STATE_LOG_SOCK,          /* RUN_DIR/log.sock: datagrams of HAProxy's log to the master */
	STATE_HAPROXY_PID, STATE_MASTER_PID,
	STATE_SUSPENDED,         /* agents that are suspended, one CN per line, 0600 */
};

int state_path(char *out, size_t size, const char *state, enum state_file which);
/* --state, $SLAPENIR_STATE, build/state in a checkout, /var/lib/slapenir for root, $XDG_STATE_HOME/slapenir else */
int state_default(char *out, size_t size, const char *option);

/* Makes the directory (mode 0711) and what is missing above it. -1 and errno. */
int state_create(const char *state);

#endif
