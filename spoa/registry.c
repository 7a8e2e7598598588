/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "registry.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hostname.h"

static const struct place {
	const char *tool;
	const char *variable; /* or */
	const char *file, *key; /* a line `key = URL`; ~ is $HOME */
} places[] = {
	{"npm", "npm_config_registry", NULL, NULL}, {"npm", "NPM_CONFIG_REGISTRY", NULL, NULL}, {"npm", NULL, ".npmrc", "registry"},
	{"npm", NULL, "~/.npmrc", "registry"}, {"npm", NULL, "/etc/npmrc", "registry"},
	{"pip", "TWINE_REPOSITORY_URL", NULL, NULL}, {"pip", "PIP_INDEX_URL", NULL, NULL}, {"pip", "UV_DEFAULT_INDEX", NULL, NULL},
	{"pip", NULL, "~/.config/pip/pip.conf", "index-url"}, {"pip", NULL, "~/.pip/pip.conf", "index-url"}, {"pip", NULL, "/etc/pip.conf", "index-url"},
};

static bool host_of(const char *url, char *out, size_t size)
{
	struct hostname h;
	const char *why, *at;
	size_t len;

	if (strncasecmp(url, "https://", 8) != 0)
		return false;
	url += 8;
	len = strcspn(url, "/?# \t\r\n\"'");
	at = memrchr(url, '@', len);
	if (at) {
		len -= (size_t)(at + 1 - url);
		url = at + 1;
	}
	if (hostname_parse(&h, span_of(url, len), HOSTNAME_TLS_PORT, false, &why) < 0)
		return false;
	return snprintf(out, size, "%.*s", h.port == HOSTNAME_TLS_PORT ? (int)h.name_length : HOSTNAME_MAX, h.text) < (int)size;
}

static bool from_file(const struct place *p, char *out, size_t size)
{
	const char *home = getenv("HOME");
	char path[PATH_MAX], line[1024];
	bool found = false;
	FILE *f;

	if (p->file[0] != '~')
		snprintf(path, sizeof(path), "%s", p->file);
	else if (!home || snprintf(path, sizeof(path), "%s%s", home, p->file + 1) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *key = line + strspn(line, " \t"), *value = strchr(key, '=');
		size_t len = strcspn(key, " \t=");

		if (value && len == strlen(p->key) && memcmp(key, p->key, len) == 0) {
			value++;
			found = host_of(value + strspn(value, " \t\"'"), out, size);
		}
	}
	if (f)
		fclose(f);
	return found;
}

bool registry_host(const char *tool, char *out, size_t size)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct place *p = &places[i];
		const char *url = p->variable ? getenv(p->variable) : NULL;

		if (strcmp(p->tool, tool) == 0 && (p->file ? from_file(p, out, size) : url && host_of(url, out, size)))
			return true;
	}
	return false;
}
