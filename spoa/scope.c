/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scope.h"

#include <strings.h>

enum { SCOPE_VERSION = 1, SCOPE_KIND_BYTES = 4, SCOPE_BYTES = SCOPE_KIND_BYTES + EXCHANGE_GEN_BYTES };

/* --- fields --- */

static bool begins(struct span s, const char *with)
{
	size_t len = strlen(with);

	return s.len >= len && strncasecmp((const char *)s.p, with, len) == 0;
}

static bool equals(struct span s, const char *word)
{
	return s.len == strlen(word) && begins(s, word);
}

static bool ends(struct span s, const char *with)
{
	size_t len = strlen(with);

	return s.len >= len && begins(span_of(s.p + s.len - len, len), with);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Takes what stands in front of `separator` off the front of *rest, without the blanks around it. */
static struct span take_until(struct span *rest, char separator)
{
	const uint8_t *end = rest->len ? memchr(rest->p, separator, rest->len) : NULL;
	struct span item = *rest;

	if (end)
		item.len = (size_t)(end - rest->p);
	*rest = end ? span_of(end + 1, rest->len - item.len - 1) : span_of(NULL, 0);
	while (item.len && is_blank(item.p[0]))
		item = span_of(item.p + 1, item.len - 1);
	while (item.len && is_blank(item.p[item.len - 1]))
		item.len--;
	return item;
}

static bool names_encoding(struct span value)
{
	while (value.len) {
		struct span coding = take_until(&value, ',');

		if (coding.len && !equals(coding, "identity"))
			return true;
	}
	return false;
}

static bool is_json(struct span type)
{
	static const char *const types[] = {"application/json", "application/json-seq", "application/jsonl", "application/x-ndjson", "text/json"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (equals(type, types[i]))
			return true;
	return ends(type, "+json");
}

/* grpc-web has the same prefixes, grpc-web-text hides them in base64. */
static bool is_grpc(struct span type)
{
	return begins(type, "application/grpc") && !begins(type, "application/grpc-web-text");
}

static void take_content_type(struct body_kind *k, struct span value)
{
	struct span type = take_until(&value, ';');

	k->framing = is_grpc(type) ? FRAMING_GRPC : FRAMING_NONE;
	k->place = PLACE_RAW;
	if (equals(type, "application/x-www-form-urlencoded"))
		k->place = PLACE_FORM;
	else if (!is_grpc(type) && is_json(type))
		k->place = PLACE_JSON;
}

int body_kind_of(struct body_kind *k, struct span fields)
{
	struct head_field f;
	int more;

	*k = (struct body_kind){.place = PLACE_RAW};
	while ((more = head_next_field(&f, &fields)) == 1) {
		if (span_is(f.name, "content-type"))
			take_content_type(k, f.value);
		else if (span_is(f.name, "content-encoding") || span_is(f.name, "grpc-encoding") || span_is(f.name, "connect-content-encoding"))
			k->encoded |= names_encoding(f.value);
		else if (span_is(f.name, "content-length"))
			k->has_length = true;
	}
	return more;
}

/* --- on the wire --- */

int scope_encode(struct buf *out, const struct body_kind *k, const struct policy *p, const struct policy_request *q)
{
	uint8_t kind[SCOPE_KIND_BYTES] = {SCOPE_VERSION, q ? HEAD_REQUEST : HEAD_RESPONSE, (uint8_t)k->place, (uint8_t)k->framing};

	if (buf_append(out, kind, sizeof(kind)) < 0 || buf_append(out, policy_generation(p), EXCHANGE_GEN_BYTES) < 0)
		return -1;
	return q ? policy_grant_encode(p, q, out) : 0;
}

int scope_decode(struct scope *s, const struct policy *p, bool response, struct span encoded)
{
	const uint8_t *b = encoded.p;
	struct span rest;

	if (encoded.len < SCOPE_BYTES || b[0] != SCOPE_VERSION || b[1] != (response ? HEAD_RESPONSE : HEAD_REQUEST) || b[2] > PLACE_HEADER ||
	    b[3] > FRAMING_GRPC)
		return -1;
	s->place = b[2];
	s->framing = b[3];
	rest = span_of(b + SCOPE_BYTES, encoded.len - SCOPE_BYTES);
	/* what a response's head says holds under every generation, numbers of a grant are one generation's own */
	if (response)
		return rest.len ? -1 : 0;
	if (memcmp(b + SCOPE_KIND_BYTES, policy_generation(p), EXCHANGE_GEN_BYTES) != 0)
		return -1;
	return policy_grant_decode(p, rest, &s->grant) ? 0 : -1;
}
