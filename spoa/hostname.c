/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hostname.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int fail(const char **why, const char *reason)
{
	*why = reason;
	return -1;
}

static int parse_port(struct span s, unsigned *port)
{
	unsigned n = 0;

	if (s.len == 0 || s.len > 5)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		n = n * 10 + (s.p[i] - '0');
	}
	*port = n;
	return n >= 1 && n <= 65535 && s.p[0] != '0' ? 0 : -1;
}

static bool is_label_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Every notation of an IPv4 address that some resolver takes (1.2.3.4, 0x7f.1, 017700000001, 2130706433) ends in a label that is a
 * number; no top-level domain is one. */
static bool is_number(const char *label, size_t len)
{
	size_t i = 0;

	if (len >= 2 && label[0] == '0' && label[1] == 'x') {
		for (i = 2; i < len; i++)
			if (!isxdigit((unsigned char)label[i]))
				return false;
		return true;
	}
	while (i < len && isdigit((unsigned char)label[i]))
		i++;
	return i == len;
}

static int check_labels(const char *name, size_t len, unsigned *labels, const char **why)
{
	size_t start = 0;

	*labels = 0;
	for (size_t i = 0; i <= len; i++) {
		size_t n = i - start;

		if (i < len && name[i] != '.')
			continue;
		if (n == 0)
			return fail(why, "an empty label between two dots; write the name without it");
		if (n > 63)
			return fail(why, "a label is longer than 63 bytes");
		if (name[start] == '-' || name[i - 1] == '-')
			return fail(why, "a label begins or ends with a hyphen");
		if (i == len && is_number(name + start, n))
			return fail(why, "this is an IP address; a host is named, and a fixed address goes into its `connect: \"IP:port\"`");
		(*labels)++;
		start = i + 1;
	}
	return 0;
}

/* Splits "name:port"; the name is what stands before the only colon. */
static int split(struct hostname *h, struct span *text, unsigned default_port, const char **why)
{
	const uint8_t *colon = text->len ? memchr(text->p, ':', text->len) : NULL;

	h->port = default_port;
	h->port_given = colon != NULL;
	if (!colon)
		return 0;
	if (text->len && (text->p[0] == '[' || memchr(colon + 1, ':', text->len - (size_t)(colon + 1 - text->p))))
		return fail(why, "this is an IPv6 address; a host is named, and a fixed address goes into its `connect: \"[IP]:port\"`");
	if (text->len - (size_t)(colon - text->p) >= 3 && colon[1] == '/' && colon[2] == '/')
		return fail(why, "this is a URL; write only the host, or host:port");
	if (parse_port(span_of(colon + 1, text->len - (size_t)(colon + 1 - text->p)), &h->port) < 0)
		return fail(why, "the port behind the colon is no number from 1 to 65535");
	text->len = (size_t)(colon - text->p);
	return 0;
}

int hostname_parse(struct hostname *h, struct span text, unsigned default_port, bool wildcard, const char **why)
{
	unsigned labels;

	memset(h, 0, sizeof(*h));
	if (split(h, &text, default_port, why) < 0)
		return -1;
	if (text.len && text.p[text.len - 1] == '.')
		text.len--;
	if (text.len == 0)
		return fail(why, "the name is empty");
	if (text.len > HOSTNAME_DNS_MAX)
		return fail(why, "the name is longer than 253 bytes");
	h->wildcard = wildcard && text.len > 2 && text.p[0] == '*' && text.p[1] == '.';
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.p[i];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (c >= 0x80)
			return fail(why, "a name with bytes above 127; write it in its ASCII form, xn--…");
		if (c == '/')
			return fail(why, "a host has no path; paths go into `paths:`");
		if (c == '*' && !(h->wildcard && i == 0))
			return fail(why, wildcard ? "a wildcard stands for one whole label at the front, as in \"*.example.com\""
			                          : "a wildcard cannot stand here");
		if (c != '.' && c != '*' && !is_label_byte(c))
			return fail(why, "a byte that no host name has; letters, digits, hyphens and dots are allowed");
		h->text[i] = (char)c;
	}
	h->name_length = text.len;
	if (check_labels(h->text + (h->wildcard ? 2 : 0), text.len - (h->wildcard ? 2 : 0), &labels, why) < 0)
		return -1;
	if (h->wildcard && labels < 2)
		return fail(why, "a wildcard needs two labels behind it, as in \"*.example.com\": TLS clients accept no certificate for less");
	snprintf(h->text + text.len, sizeof(h->text) - text.len, ":%u", h->port);
	return 0;
}

bool hostname_wildcard(const struct hostname *h, struct hostname *out)
{
	const char *dot = memchr(h->text, '.', h->name_length);
	size_t cut;

	if (!dot || h->wildcard)
		return false;
	cut = (size_t)(dot - h->text);
	*out = *h;
	out->text[0] = '*';
	memcpy(out->text + 1, dot, strlen(dot) + 1);
	out->name_length = h->name_length - cut + 1;
	out->wildcard = true;
	return true;
}

bool hostname_is_address(const char *text)
{
	char ip[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');
	struct in6_addr a;
	unsigned port;
	size_t n;

	if (!colon || parse_port(span_str(colon + 1), &port) < 0)
		return false;
	n = (size_t)(colon - text);
	if (n == 0 || n >= sizeof(ip))
		return false;
	memcpy(ip, text, n);
	ip[n] = 0;
	if (ip[0] == '[' && ip[n - 1] == ']') {
		ip[n - 1] = 0;
		return inet_pton(AF_INET6, ip + 1, &a) == 1;
	}
	return inet_pton(AF_INET, ip, &a) == 1;
}
