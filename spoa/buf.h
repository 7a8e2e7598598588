/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * struct span: bytes that somebody else owns. struct buf: bytes that grow.
 */
#ifndef SLAPENIR_BUF_H
#define SLAPENIR_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *p;
	size_t len;
};

static inline struct span span_of(const void *p, size_t len)
{
	return (struct span){p, len};
}

static inline struct span span_str(const char *s)
{
	return span_of(s, strlen(s));
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool span_is(struct span a, const char *s)
{
	return span_eq(a, span_str(s));
}

/* Takes len bytes off the front of *rest. false: there are fewer, and *rest is as it was. */
static inline bool span_take(struct span *rest, size_t len, struct span *out)
{
	if (len > rest->len)
		return false;
	*out = span_of(rest->p, len);
	*rest = span_of(rest->p + len, rest->len - len);
	return true;
}

/* Zero-initialised is empty. limit 0: no limit. Appending past the limit or out of memory returns -1 and leaves
 * the buffer as it was. buf_deinit() wipes, because buffers hold rehydrated bytes. */
struct buf {
	uint8_t *p;
	size_t len, cap, limit;
};

int buf_append(struct buf *b, const void *p, size_t len);
int buf_append_span(struct buf *b, struct span s);
int buf_putc(struct buf *b, uint8_t c);
int buf_u16(struct buf *b, unsigned v); /* big endian */
int buf_u32(struct buf *b, uint32_t v);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_reserve(struct buf *b, size_t more); /* room for that many more bytes */
void buf_reset(struct buf *b);               /* empty, keeps the memory */
void buf_wipe(struct buf *b);                /* the same, and its bytes are gone */
void buf_deinit(struct buf *b);
struct span buf_span(const struct buf *b);

#endif
