/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one symbol that load.lua calls while HAProxy reads its configuration. Initcalls of a shared object are never run by
 * HAProxy, so everything is registered here.
 */
#include "filter.h"

#include <elf.h>
#include <link.h>

/* Of Lua's C interface this is all that is needed, and it is the same in all versions that HAProxy takes. */
struct lua_State;
extern const char *lua_pushstring(struct lua_State *L, const char *s);

int slapenir_filter_open(struct lua_State *L);

/* Is `running` the version that this module was compiled for? What follows the number must not make it another version: a
 * revision of the distribution may follow, another number may not. */
static bool same_version(const char *running, const char *built)
{
	size_t len = strlen(built);

	if (strncmp(running, built, len) != 0 || isdigit((unsigned char)running[len]) || running[len] == '.')
		return false;
	return strncmp(running + len, "-dev", 4) != 0;
}

struct build_id {
	char hex[2 * 64 + 1];
};

/* dl_iterate_phdr() tells of the program itself first. */
static int find_build_id(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct build_id *id = ctx;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const uint8_t *p = (const uint8_t *)info->dlpi_addr + ph->p_vaddr, *end = p + ph->p_memsz;

		while (ph->p_type == PT_NOTE && (size_t)(end - p) >= sizeof(ElfW(Nhdr))) {
			const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)p;
			size_t name = (note->n_namesz + 3u) & ~3u, desc = (note->n_descsz + 3u) & ~3u;

			p += sizeof(*note);
			if (name > (size_t)(end - p) || desc > (size_t)(end - p) - name)
				break;
			if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(p, "GNU", 4) == 0 &&
			    note->n_descsz <= 64)
				for (size_t k = 0; k < note->n_descsz; k++)
					snprintf(id->hex + 2 * k, 3, "%02x", p[name + k]);
			p += name + desc;
		}
	}
	return 1;
}

static struct flt_kw_list keywords = {
	.scope = "SLAPENIR",
	.kw = {
		{"slapenir", conf_parse, NULL},
		{NULL, NULL, NULL},
	},
};

/* Returns nothing when all is well, else the reason to Lua, which makes HAProxy refuse its configuration. */
__attribute__((visibility("default"))) int slapenir_filter_open(struct lua_State *L)
{
	static bool opened;
	struct build_id id = {""};
	char *err = NULL;

	if (opened)
		return 0;
	if (!same_version(haproxy_version, SLAPENIR_HAPROXY_VERSION)) {
		memprintf(&err,
			  "slapenir_filter.so was compiled for HAProxy " SLAPENIR_HAPROXY_VERSION
			  ", this is %s: it would read the wrong fields. Build it again on a machine with this HAProxy (make)",
			  haproxy_version);
		lua_pushstring(L, err ? err : "slapenir_filter.so: wrong version of HAProxy");
		free(err);
		return 1;
	}
	dl_iterate_phdr(find_build_id, &id);
	if (strcmp(id.hex, SLAPENIR_HAPROXY_BUILD_ID) != 0)
		ha_notice("slapenir: this build of HAProxy %s (build-id %s) is not the one that the filter was tested with (%s); "
			  "only the canary tells whether it works.\n",
			  haproxy_version, *id.hex ? id.hex : "none", SLAPENIR_HAPROXY_BUILD_ID);
	LIST_INIT(&keywords.list);
	flt_register_keywords(&keywords);
	fetch_register();
	opened = true;
	return 0;
}
