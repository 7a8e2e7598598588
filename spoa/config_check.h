/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What single values of a policy may be. Each returns NULL, or a static reason that says how to mend it.
 */
#ifndef SLAPENIR_CONFIG_CHECK_H
#define SLAPENIR_CONFIG_CHECK_H

const char *config_check_secret_name(const char *text);
const char *config_check_agent_name(const char *text);
const char *config_check_variable(const char *text);
const char *config_check_file(const char *text);
const char *config_check_prefix(const char *text);
const char *config_check_placeholder(const char *text);
const char *config_check_address(const char *text);
const char *config_check_method(const char *text);
const char *config_check_path(const char *text);
const char *config_check_credential_header(const char *lower);
const char *config_check_dropped_header(const char *lower);

#endif
