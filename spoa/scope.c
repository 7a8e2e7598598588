/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scope.h"

#include <strings.h>

#include "exchange.h"

/* version, direction, place, framing, two bits; then a request's generation, in which alone its grant has a meaning, and grant */
enum { SCOPE_VERSION = 1, SCOPE_BYTES = 5, SCOPE_GRANT_AT = SCOPE_BYTES + EXCHANGE_GEN_BYTES };
enum { SCOPE_OPAQUE = 1, SCOPE_MADE_ONLY = 2 };

static bool begins(struct span s, const char *with)
{
	size_t len = strlen(with);

	return s.len >= len && strncasecmp((const char *)s.p, with, len) == 0;
}

/* The media type ends at a semicolon or a blank. */
static struct span media_type(struct span value)
{
	size_t len = 0;

	while (len < value.len && !strchr("; \t", value.p[len]))
		len++;
	return span_of(value.p, len);
}

static bool is_json(struct span type)
{
	static const char suffix[] = "+json";
	size_t n = sizeof(suffix) - 1;

	return (type.len == strlen("application/json") && begins(type, "application/json")) ||
	       (type.len > n && strncasecmp((const char *)type.p + type.len - n, suffix, n) == 0) || begins(type, "application/x-ndjson");
}

static void take_type(struct scope *s, struct span value)
{
	struct span type = media_type(value);

	if (is_json(type))
		s->place = PLACE_JSON;
	else if (begins(type, "application/x-www-form-urlencoded"))
		s->place = PLACE_FORM;
	else if (begins(type, "application/grpc"))
		s->framing = FRAMING_GRPC;
}

static bool is_identity(struct span value)
{
	struct span token = media_type(value);

	return value.len == 0 || (token.len == value.len && begins(token, "identity") && token.len == strlen("identity"));
}

int scope_from_fields(struct scope *s, struct span fields, bool *encoded)
{
	struct head_field f;
	int r;

	*s = (struct scope){.place = PLACE_RAW, .framing = FRAMING_NONE};
	*encoded = false;
	while ((r = head_next_field(&f, &fields)) == 1) {
		if (span_is(f.name, "content-type"))
			take_type(s, f.value);
		else if ((span_is(f.name, "content-encoding") || span_is(f.name, "grpc-encoding")) && !is_identity(f.value))
			*encoded = true;
	}
	return r;
}

int scope_encode(const struct scope *s, const struct policy *p, const struct policy_request *q, struct buf *out)
{
	uint8_t fixed[SCOPE_BYTES] = {SCOPE_VERSION, q ? HEAD_REQUEST : HEAD_RESPONSE, (uint8_t)s->place, (uint8_t)s->framing,
	                              (uint8_t)((s->opaque ? SCOPE_OPAQUE : 0) | (s->made_only ? SCOPE_MADE_ONLY : 0))};

	if (buf_append(out, fixed, sizeof(fixed)) < 0)
		return -1;
	if (!q)
		return 0;
	return buf_append(out, policy_generation(p), EXCHANGE_GEN_BYTES) < 0 ? -1 : policy_grant_encode(p, q, out);
}

int scope_decode(struct scope *s, const struct policy *p, bool response, struct span encoded)
{
	const uint8_t *b = encoded.p;

	*s = (struct scope){.place = PLACE_RAW, .framing = FRAMING_NONE};
	if (encoded.len < SCOPE_BYTES || b[0] != SCOPE_VERSION || b[1] != (response ? HEAD_RESPONSE : HEAD_REQUEST) || b[2] > PLACE_HEADER ||
	    b[3] > FRAMING_GRPC)
		return -1;
	s->place = b[2];
	s->framing = b[3];
	s->opaque = b[4] & SCOPE_OPAQUE;
	s->made_only = b[4] & SCOPE_MADE_ONLY;
	if (response)
		return encoded.len == SCOPE_BYTES ? 0 : -1;
	if (encoded.len < SCOPE_GRANT_AT || memcmp(b + SCOPE_BYTES, policy_generation(p), EXCHANGE_GEN_BYTES) != 0)
		return -1;
	s->granted = policy_grant_decode(p, span_of(b + SCOPE_GRANT_AT, encoded.len - SCOPE_GRANT_AT), &s->grant) != NULL;
	return s->granted ? 0 : -1;
}
