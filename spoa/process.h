/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the master asks of the system for itself and its workers.
 */
#ifndef SLAPENIR_PROCESS_H
#define SLAPENIR_PROCESS_H

/* Lockable memory and descriptors as far as we may. Returns how many connections a worker can hold. */
unsigned process_raise_limits(void);

/* Once `env:` values were read: nothing but a few harmless variables stays, neither here nor in /proc/PID/environ. */
void process_wipe_environment(void);

#endif
