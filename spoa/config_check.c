/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_check.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "hostname.h"
#include "path.h"

enum { NAME_MAX_BYTES = 128, CN_MAX = 64, PLACEHOLDER_MIN = 8, PLACEHOLDER_MAX = 1900, PREFIX_MAX = 64 };

static bool only(const char *text, const char *extra)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(extra, *text))
			return false;
	return true;
}

static bool visible(const char *text)
{
	for (; *text; text++)
		if (*text < 0x21 || *text > 0x7e)
			return false;
	return true;
}

const char *config_check_variable(const char *text)
{
	if (!*text || isdigit((unsigned char)*text) || !only(text, "_") || strlen(text) > NAME_MAX_BYTES)
		return "is no name of an environment variable: up to 128 letters, digits and _, not beginning with a digit";
	return NULL;
}

const char *config_check_secret_name(const char *text)
{
	if (strcmp(text, "SLAPENIR_CANARY") == 0)
		return "is the gateway's own: take another name";
	return config_check_variable(text);
}

const char *config_check_agent_name(const char *text)
{
	if (!*text || strlen(text) > CN_MAX || !only(text, "._-"))
		return "can be no certificate's CN: 1 to 64 letters, digits, dots, _ and -";
	if (strcmp(text, "slapenir-canary") == 0)
		return "is the gateway's own: take another name";
	return NULL;
}

const char *config_check_file(const char *text)
{
	return *text ? NULL : "names no file";
}

const char *config_check_prefix(const char *text)
{
	return *text && visible(text) && strlen(text) <= PREFIX_MAX ? NULL : "a prefix has 1 to 64 visible ASCII characters";
}

const char *config_check_placeholder(const char *text)
{
	if (!visible(text))
		return "a placeholder has visible ASCII characters only, no blanks";
	if (strlen(text) < PLACEHOLDER_MIN)
		return "a placeholder under 8 bytes turns up by chance: take a longer one";
	if (strlen(text) > PLACEHOLDER_MAX)
		return "a placeholder has at most 1900 bytes";
	return NULL;
}

const char *config_check_address(const char *text)
{
	return hostname_is_address(text) ? NULL : "must be IP:port, as in \"127.0.0.1:9444\" or \"[::1]:9444\", no name";
}

const char *config_check_method(const char *text)
{
	if (!*text || !only(text, "-"))
		return "is no method, as in GET or POST";
	for (; *text; text++)
		if (islower((unsigned char)*text))
			return "methods are written in capital letters, as in GET or POST";
	return NULL;
}

const char *config_check_path(const char *text)
{
	struct span s = span_str(text);
	bool dotted = false;
	enum path_result rc;
	size_t len;
	char *room;

	if (strpbrk(text, "?#"))
		return "a path ends before ? and #";
	room = malloc(s.len + 1);
	if (!room)
		return "out of memory";
	rc = path_normalize(s, PATH_SEPARATED, room, &len, &dotted);
	free(room);
	if (rc == PATH_INVALID)
		return "a path begins with a slash, as in /v1/";
	return rc == PATH_CLIMBS || dotted ? "a path holds no `..`" : NULL;
}

/* Servers send these back, or they say how the message is framed: no credential belongs there. */
static const char *const unfit[] = {
	"user-agent", "origin", "referer", "x-request-id", "last-event-id", "access-control-request-headers", "access-control-request-method",
	"host", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding", "te", "trailer", "upgrade", "expect",
	"accept-encoding", "range", "if-range", "via", "forwarded",
};

static bool is_token(const char *text)
{
	return *text && only(text, "!#$%&'*+-.^_`|~") && strlen(text) <= NAME_MAX_BYTES;
}

const char *config_check_credential_header(const char *lower)
{
	if (!is_token(lower))
		return "is no header's name";
	for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++)
		if (strcmp(lower, unfit[i]) == 0)
			return "servers reflect this header or it frames the message: no secret goes there";
	if (strncmp(lower, "sec-websocket-", 14) == 0 || strncmp(lower, "proxy-", 6) == 0 || strncmp(lower, "x-forwarded-", 12) == 0)
		return "servers reflect this header or the gateway removes it: no secret goes there";
	return NULL;
}

const char *config_check_dropped_header(const char *lower)
{
	static const char *const needed[] = {"content-length", "transfer-encoding", "content-encoding", "content-type", "connection", "trailer",
	                                     "upgrade"};

	if (!is_token(lower))
		return "is no header's name";
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (strcmp(lower, needed[i]) == 0)
			return "frames the message: it cannot be dropped";
	return NULL;
}
