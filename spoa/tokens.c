/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 16 << 20 };

struct token_file {
	struct token_file *next;
	char *path;
	bool whole;          /* .pem: `text` is the only value */
	int error;           /* errno when it could not be read */
	struct span text;
	struct token *token; /* by key */
	size_t count;
};

struct tokens {
	struct secret_arena *arena;
	struct token_file *files;
	char why[256];
};

struct tokens *tokens_new(struct secret_arena *arena)
{
	struct tokens *t = calloc(1, sizeof(*t));

	if (t)
		t->arena = arena;
	return t;
}

void tokens_free(struct tokens *t)
{
	if (!t)
		return;
	while (t->files) {
		struct token_file *f = t->files;

		t->files = f->next;
		free(f->path);
		free(f->token);
		free(f);
	}
	free(t);
}

bool tokens_is_whole(const char *path)
{
	size_t len = strlen(path);

	return len > 4 && strcmp(path + len - 4, ".pem") == 0;
}

/* "…" loses its quotes and its escapes \n \" \\, '…' its quotes. */
static void unquote(struct span *value, uint8_t *p)
{
	size_t len = value->len, n = 0;

	if (len < 2 || p[0] != p[len - 1] || (p[0] != '"' && p[0] != '\''))
		return;
	if (p[0] == '\'') {
		*value = span_of(p + 1, len - 2);
		return;
	}
	for (size_t i = 1; i < len - 1; i++) {
		uint8_t c = p[i];

		if (c == '\\' && i + 1 < len - 1 && (p[i + 1] == 'n' || p[i + 1] == '"' || p[i + 1] == '\\'))
			c = p[++i] == 'n' ? '\n' : p[i];
		p[n++] = c;
	}
	*value = span_of(p, n);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

int tokens_next(struct token *token, uint8_t *text, size_t len, size_t *at)
{
	while (*at < len) {
		uint8_t *p = text + *at, *end = memchr(p, '\n', len - *at), *equals;

		token->line++;
		token->whole = span_of(p, (end ? (size_t)(end - p) + 1 : len - *at));
		*at += token->whole.len;
		if (!end)
			end = text + len;
		if (end > p && end[-1] == '\r')
			end--;
		if (token->line == 1 && end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
			p += 3;
		while (p < end && is_blank(*p))
			p++;
		if (p == end || *p == '#')
			continue;
		if (end - p > 7 && memcmp(p, "export", 6) == 0 && is_blank(p[6]))
			for (p += 6; p < end && is_blank(*p);)
				p++;
		equals = memchr(p, '=', (size_t)(end - p));
		if (!equals || equals == p)
			return -1;
		token->key = span_of(p, (size_t)(equals - p));
		while (token->key.len && is_blank(token->key.p[token->key.len - 1]))
			token->key.len--;
		token->value = span_of(equals + 1, (size_t)(end - equals - 1));
		unquote(&token->value, equals + 1);
		return 1;
	}
	return 0;
}

static int compare_keys(struct span a, struct span b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int d = n ? memcmp(a.p, b.p, n) : 0;

	return d ? d : (a.len > b.len) - (a.len < b.len);
}

static int by_key(const void *a, const void *b)
{
	const struct token *x = a, *y = b;
	int d = compare_keys(x->key, y->key);

	return d ? d : (x->line > y->line) - (x->line < y->line);
}

static void parse(struct token_file *f, struct report *r)
{
	struct token token = {0};
	size_t at = 0, room = 0;
	int rc;

	while ((rc = tokens_next(&token, (uint8_t *)f->text.p, f->text.len, &at)) != 0) {
		if (rc < 0) {
			report_error(r, f->path, token.line,
			             "is no KEY=VALUE line: mend it, or put # in front; a value of several lines is written in double quotes with \\n");
			continue;
		}
		if (f->count == room) {
			struct token *more = reallocarray(f->token, room ? room * 2 : 64, sizeof(*more));

			if (!more) {
				report_error(r, f->path, token.line, "out of memory");
				return;
			}
			f->token = more;
			room = room ? room * 2 : 64;
		}
		f->token[f->count++] = token;
	}
	if (f->count)
		qsort(f->token, f->count, sizeof(*f->token), by_key);
	for (size_t i = 1; i < f->count; i++)
		if (compare_keys(f->token[i - 1].key, f->token[i].key) == 0)
			report_error(r, f->path, f->token[i].line, "%.*s is given a second time, the first is on line %u: keep one",
			             (int)f->token[i].key.len, (const char *)f->token[i].key.p, f->token[i - 1].line);
}

/* Not by stdio, whose buffers nobody wipes. */
static int read_file(struct tokens *t, struct token_file *f, struct report *r)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	uint8_t *p = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
		close(fd);
		return S_ISDIR(st.st_mode) ? EISDIR : st.st_size > FILE_BYTES_MAX ? EFBIG : EINVAL;
	}
	if (st.st_mode & S_IROTH)
		report_warning(r, f->path, 0, "can be read by everybody on this machine: chmod 600 it");
	p = secret_arena_alloc(t->arena, (size_t)st.st_size + 1);
	while (p && len < (size_t)st.st_size && (n = read(fd, p + len, (size_t)st.st_size - len)) > 0)
		len += (size_t)n;
	close(fd);
	f->text = span_of(p, len);
	return !p ? ENOMEM : n < 0 ? EIO : 0;
}

static struct token_file *open_file(struct tokens *t, const char *path, struct report *r)
{
	struct token_file *f;

	for (f = t->files; f; f = f->next)
		if (strcmp(f->path, path) == 0)
			return f;
	f = calloc(1, sizeof(*f));
	if (f)
		f->path = strdup(path);
	if (!f || !f->path) {
		free(f);
		return NULL;
	}
	f->next = t->files;
	t->files = f;
	f->whole = tokens_is_whole(path);
	f->error = read_file(t, f, r);
	if (!f->error && f->whole && f->text.len && f->text.p[f->text.len - 1] == '\n')
		f->text.len--;
	else if (!f->error && !f->whole)
		parse(f, r);
	return f;
}

bool tokens_find(struct tokens *t, const char *path, const char *name, struct span *value, const char **why, struct report *r)
{
	const struct token_file *f = open_file(t, path, r);
	struct token wanted = {.key = span_str(name)};

	*why = t->why;
	if (!f || f->error) {
		snprintf(t->why, sizeof(t->why), "%.180s cannot be read: %s", path, strerror(f ? f->error : ENOMEM));
		return false;
	}
	if (f->whole) {
		*value = f->text;
		return true;
	}
	for (size_t low = 0, high = f->count; low < high;) {
		size_t middle = low + (high - low) / 2;
		int d = compare_keys(wanted.key, f->token[middle].key);

		if (d == 0) {
			*value = f->token[middle].value;
			return true;
		}
		if (d < 0)
			high = middle;
		else
			low = middle + 1;
	}
	snprintf(t->why, sizeof(t->why), "%.180s has no line %.40s=…", path, name);
	return false;
}
