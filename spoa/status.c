/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "status.h"

#include "json.h"

int status_generation(struct buf *out, const struct policy *p)
{
	const uint8_t *id = policy_generation(p);
	int rc = 0;

	for (unsigned i = 0; i < 8; i++)
		rc |= buf_printf(out, "%02x", id[i]);
	return rc;
}

static int put_generations(struct buf *out, const struct generations *g)
{
	const struct policy *const *list;
	size_t count;
	int rc = buf_printf(out, ",\"generations\":[");

	list = generations_list(g, &count);
	for (size_t i = 0; i < count; i++) {
		rc |= buf_printf(out, i ? ",\"" : "\"");
		rc |= status_generation(out, list[i]);
		rc |= buf_putc(out, '"');
	}
	return rc | buf_printf(out, "],\"epoch\":%llu", (unsigned long long)generations_epoch(g));
}

static int put_workers(struct buf *out, const struct pool *pool)
{
	struct pool_worker w;
	int rc = buf_printf(out, ",\"restarts\":%llu,\"workers\":[", (unsigned long long)pool_restarts(pool));

	for (size_t i = 0; pool_worker(pool, i, &w); i++)
		rc |= buf_printf(out,
		                 "%s{\"worker\":%u,\"pid\":%d,\"phase\":\"%s\",\"age_s\":%llu,\"silent_ms\":%llu,\"connections\":%u,"
		                 "\"frames\":%llu,\"dropped\":%llu,\"broken\":%llu}",
		                 i ? "," : "", w.number, w.pid, w.phase, (unsigned long long)w.age_ms / 1000,
		                 (unsigned long long)w.silent_ms, w.figures.connections, (unsigned long long)w.figures.frames,
		                 (unsigned long long)w.figures.dropped, (unsigned long long)w.figures.errors);
	return rc | buf_putc(out, ']');
}

static int put_suspended(struct buf *out, const struct suspended *s)
{
	int rc = buf_printf(out, ",\"suspended\":[");

	for (size_t i = 0; i < suspended_count(s); i++) {
		rc |= i ? buf_putc(out, ',') : 0;
		rc |= json_string(out, span_str(suspended_get(s, i)));
	}
	return rc | buf_putc(out, ']');
}

int status_format(struct buf *out, const struct status *s)
{
	const struct policy *newest = generations_newest(s->generations);
	struct audit_figures audit = auditor_figures(s->auditor);
	size_t mark = out->len;
	int rc = buf_printf(out, "{\"uptime_s\":%llu,\"reloading\":%s", (unsigned long long)s->uptime_ms / 1000,
	                    s->reloading ? "true" : "false");

	rc |= put_generations(out, s->generations);
	rc |= put_workers(out, s->pool);
	rc |= put_suspended(out, s->suspended);
	rc |= buf_printf(out, ",\"audit\":{\"required\":%s,\"writable\":%s,\"lines\":%llu,\"open\":%zu}}\n",
	                 newest && policy_audit_required(newest) ? "true" : "false",
	                 audit_log_writable(auditor_log(s->auditor)) ? "true" : "false", (unsigned long long)audit.lines, audit.open);
	if (rc)
		out->len = mark;
	return rc ? -1 : 0;
}
