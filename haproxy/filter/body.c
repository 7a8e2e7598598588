/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bytes of a body in HTX. Blocks are DATA in the beginning, then perhaps trailers (TLR … EOT) or the bare mark EOT;
 * both count in HAProxy's offsets, but are no payload.
 */
#include "filter.h"

enum { ROOM_FOR_HEAD = 128 }; /* a head that is still held may get another length */

/* A chunk that lies in several blocks is put together here; the next one overwrites it. */
static __thread struct buf scratch;

static struct ist data_from(struct htx *htx, struct htx_blk *blk, size_t skip)
{
	struct ist v = htx_get_blk_value(htx, blk);

	return ist2(v.ptr + skip, v.len - skip);
}

static bool trailers_are_whole(struct htx *htx, struct htx_blk *blk, size_t avail)
{
	size_t size = 0;

	for (; blk; blk = htx_get_next_blk(htx, blk)) {
		size += htx_get_blksz(blk);
		if (htx_get_blk_type(blk) == HTX_BLK_EOT)
			return size <= avail;
	}
	return false;
}

/* What stands behind the data. `left`: bytes that the filters before us let us see. */
static void view_end(struct view *v, struct htx *htx, struct htx_blk *blk, size_t left, bool closed)
{
	while (blk && htx_get_blk_type(blk) == HTX_BLK_UNUSED)
		blk = htx_get_next_blk(htx, blk);
	v->next = blk;
	if (!blk) {
		v->end = (htx->flags & HTX_FL_EOM) || closed;
		return;
	}
	if (htx_get_blk_type(blk) == HTX_BLK_DATA)
		return;
	v->end = true;
	v->mark = htx_get_blk_type(blk) == HTX_BLK_EOT && left;
	v->trailers = htx_get_blk_type(blk) == HTX_BLK_TLR && trailers_are_whole(htx, blk, left);
}

void body_view(struct view *v, struct htx *htx, size_t offset, size_t avail, size_t limit, bool closed)
{
	struct htx_ret at = htx_find_offset(htx, offset);
	struct htx_blk *blk = at.blk;
	size_t skip = (size_t)at.ret;

	*v = (struct view){0};
	buf_reset(&scratch);
	for (; blk; blk = htx_get_next_blk(htx, blk), skip = 0) {
		struct ist d;

		if (htx_get_blk_type(blk) == HTX_BLK_UNUSED)
			continue;
		if (htx_get_blk_type(blk) != HTX_BLK_DATA)
			break;
		d = data_from(htx, blk, skip);
		if (d.len > avail - v->bytes.len || d.len > limit - v->bytes.len) {
			v->more = d.len > limit - v->bytes.len && avail > limit;
			d.len = MIN(avail, limit) - v->bytes.len;
		}
		if (!v->bytes.len) {
			v->bytes = span_of(d.ptr, d.len);
		} else if (v->bytes.p + v->bytes.len == (const uint8_t *)d.ptr) {
			v->bytes.len += d.len;
		} else if (d.len) {
			if (!scratch.len && buf_append_span(&scratch, v->bytes) < 0)
				break;
			if (buf_append(&scratch, d.ptr, d.len) < 0)
				break;
			v->bytes = buf_span(&scratch);
		}
		if (d.len < htx_get_blksz(blk) - skip)
			return;
	}
	view_end(v, htx, blk, avail - v->bytes.len, closed);
}

/* Removes the bytes of one block from its `skip` on; returns the block that follows. */
static struct htx_blk *remove_data(struct htx *htx, struct htx_blk *blk, size_t skip, size_t len)
{
	struct ist v = htx_get_blk_value(htx, blk);

	if (len == v.len)
		return htx_remove_blk(htx, blk);
	/* a shorter value always fits */
	blk = htx_replace_blk_value(htx, blk, ist2(v.ptr + skip, len), ist(""));
	return htx_get_next_blk(htx, blk);
}

size_t body_insert(struct htx *htx, size_t offset, struct span bytes)
{
	struct htx_ret at = htx_find_offset(htx, offset);
	size_t room = htx_free_data_space(htx);
	struct htx_blk *blk = at.blk;
	struct ist v;

	room = room > ROOM_FOR_HEAD ? room - ROOM_FOR_HEAD : 0;
	if (bytes.len > room)
		bytes.len = room;
	if (!bytes.len)
		return 0;
	if (blk && htx_get_blk_type(blk) == HTX_BLK_DATA) {
		v = htx_get_blk_value(htx, blk);
		return htx_replace_blk_value(htx, blk, ist2(v.ptr + at.ret, 0), ist2((const char *)bytes.p, bytes.len))
			? bytes.len
			: 0;
	}
	/* behind all data: at the end, or before trailers or the mark */
	return htx_add_last_data(htx, ist2((const char *)bytes.p, bytes.len)) ? bytes.len : 0;
}

/* Takes `len` bytes of data away. */
static void remove_range(struct htx *htx, struct htx_blk *blk, size_t skip, size_t len)
{
	while (blk && len) {
		size_t n;

		if (htx_get_blk_type(blk) != HTX_BLK_DATA) {
			blk = htx_get_next_blk(htx, blk);
			continue;
		}
		n = MIN(htx_get_blksz(blk) - skip, len);
		blk = n ? remove_data(htx, blk, skip, n) : htx_get_next_blk(htx, blk);
		len -= n;
		skip = 0;
	}
}

ssize_t body_replace(struct htx *htx, size_t offset, size_t len, struct span payload, struct buf *rest)
{
	struct htx_ret at = htx_find_offset(htx, offset);
	struct htx_blk *blk = at.blk;
	size_t skip = (size_t)at.ret, done = 0;

	/* what waits goes out first; payload may be the very bytes that are taken away */
	if (rest->len) {
		if (buf_append_span(rest, payload) < 0)
			return -1;
		remove_range(htx, blk, skip, len);
		return 0;
	}
	/* Over the old bytes as far as both go: that is all for a replacement of the same length. */
	while (blk && len && done < payload.len) {
		size_t n;

		if (htx_get_blk_type(blk) == HTX_BLK_DATA) {
			struct ist d = data_from(htx, blk, skip);

			n = MIN(MIN(d.len, len), payload.len - done);
			memcpy(d.ptr, payload.p + done, n);
			done += n;
			len -= n;
			skip += n;
			if (skip < htx_get_blksz(blk))
				break;
		}
		blk = htx_get_next_blk(htx, blk);
		skip = 0;
	}
	remove_range(htx, blk, skip, len);
	if (done < payload.len) {
		done += body_insert(htx, offset + done, span_of(payload.p + done, payload.len - done));
		if (buf_append(rest, payload.p + done, payload.len - done) < 0)
			return -1;
	}
	return (ssize_t)done;
}

/* Over what lies there; a patch never is longer. */
static bool overwrite(struct htx *htx, size_t offset, struct span bytes)
{
	struct htx_ret at = htx_find_offset(htx, offset);
	struct htx_blk *blk = at.blk;
	size_t skip = (size_t)at.ret;

	for (; blk && bytes.len; blk = htx_get_next_blk(htx, blk), skip = 0) {
		struct ist d;
		size_t n;

		if (htx_get_blk_type(blk) != HTX_BLK_DATA)
			continue;
		d = data_from(htx, blk, skip);
		n = MIN(d.len, bytes.len);
		memcpy(d.ptr, bytes.p, n);
		bytes = span_of(bytes.p + n, bytes.len - n);
	}
	return !bytes.len;
}

ssize_t body_patch(struct htx *htx, size_t offset, size_t len, struct span patches)
{
	struct patch p;
	int more;

	while ((more = patch_next(&p, &patches, len)) == 1)
		if (!overwrite(htx, offset + p.at, p.bytes))
			return -1;
	return more < 0 ? -1 : (ssize_t)len;
}

size_t body_size(const struct htx *htx)
{
	struct htx_blk *blk;
	size_t size = 0;

	for (blk = htx_get_head_blk(htx); blk; blk = htx_get_next_blk(htx, blk))
		if (htx_get_blk_type(blk) == HTX_BLK_DATA)
			size += htx_get_blksz(blk);
	return size;
}
