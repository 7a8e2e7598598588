/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_internal.h"

const uint8_t *policy_generation(const struct policy *p)
{
	return p->generation;
}

const struct rewriter *policy_rewriter(const struct policy *p)
{
	return p->rewriter;
}

const struct shape_set *policy_shapes(const struct policy *p)
{
	return p->shapes;
}

struct secret_arena *policy_arena(const struct policy *p)
{
	return p->arena;
}

bool policy_prefilter(const struct policy *p)
{
	return p->prefilter;
}

bool policy_audit_required(const struct policy *p)
{
	return p->audit_required;
}

bool policy_tripwire_suspends(const struct policy *p)
{
	return p->tripwire_suspends;
}

bool policy_isolation_strict(const struct policy *p)
{
	return p->isolation_strict;
}

uint64_t policy_grace_ends_ms(const struct policy *p)
{
	return p->grace_ends_ms;
}

bool policy_response_length_changes(const struct policy *p)
{
	return p->response_length_changes;
}

size_t policy_secret_count(const struct policy *p)
{
	return p->exported;
}

const char *policy_secret_name(const struct policy *p, unsigned entry)
{
	return entry < p->entries ? p->entry[entry].name : NULL;
}

unsigned policy_secret_line(const struct policy *p, unsigned entry)
{
	return entry < p->entries ? p->entry[entry].line : 0;
}

unsigned policy_secret_places(const struct policy *p, unsigned entry)
{
	return entry < p->entries ? p->entry[entry].places : 0;
}

bool policy_secret_weak(const struct policy *p, unsigned entry)
{
	return entry < p->entries && p->entry[entry].weak;
}

struct span policy_secret_placeholder(const struct policy *p, unsigned entry)
{
	return entry < p->entries ? p->entry[entry].placeholder : (struct span){0};
}

size_t policy_host_count(const struct policy *p)
{
	return p->hosts;
}

const struct policy_host *policy_host_get(const struct policy *p, size_t i)
{
	return i < p->hosts ? &p->host[i].public : NULL;
}

size_t policy_drop_header_count(const struct policy *p)
{
	return p->dropped_count;
}

const char *policy_drop_header(const struct policy *p, size_t i)
{
	return i < p->dropped_count ? p->dropped[i] : NULL;
}
