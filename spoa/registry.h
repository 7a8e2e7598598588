/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The host of a package tool's registry, as this machine is set up: nothing is assumed.
 */
#ifndef SLAPENIR_REGISTRY_H
#define SLAPENIR_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

/* tool: npm or pip. Its environment variables, then its configuration files. Writes the name (with a port only if it is not 443). false:
 * nothing is set up, or not over https. */
bool registry_host(const char *tool, char *out, size_t size);

#endif
