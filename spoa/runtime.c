/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"

enum {
	TIMEOUT_S = 5,
	ANSWER_MAX = 1 << 20,
	LINES_BATCH = 8 * 1024, /* a command with its payload must fit one of HAProxy's buffers */
};

static ssize_t send_all(int fd, struct span bytes)
{
	ssize_t n = 1;

	while (bytes.len && (n = send(fd, bytes.p, bytes.len, MSG_NOSIGNAL)) > 0)
		bytes = span_of(bytes.p + n, bytes.len - (size_t)n);
	return n;
}

/* Sends the command (with its payload, if it takes one) and appends the answer. -1 and errno: no HAProxy there, or no answer. */
static int ask(const struct runtime *to, struct span command, struct buf *answer)
{
	int fd = dial_unix(to->socket, TIMEOUT_S);
	uint8_t piece[4096];
	ssize_t n;

	if (fd < 0)
		return -1;
	n = send_all(fd, span_str(to->prefix));
	if (n > 0)
		n = send_all(fd, command);
	if (n > 0 && shutdown(fd, SHUT_WR) < 0) /* the master's would wait for more */
		n = -1;
	while (n > 0 && answer->len < ANSWER_MAX && (n = recv(fd, piece, sizeof(piece), 0)) > 0)
		if (buf_append(answer, piece, (size_t)n) < 0)
			n = -1;
	close(fd);
	return n == 0 ? 0 : -1;
}

/* "PID worker …", one a line */
int runtime_workers(const char *master_socket, int *pids, int max)
{
	struct runtime master = {.socket = master_socket};
	struct buf answer = {0};
	char *line, *rest;
	int count = -1, pid;

	if (ask(&master, span_str("show proc\n"), &answer) == 0 && buf_putc(&answer, '\0') == 0) {
		count = 0;
		for (line = strtok_r((char *)answer.p, "\n", &rest); line && count < max; line = strtok_r(NULL, "\n", &rest))
			if (sscanf(line, "%d worker", &pid) == 1 && strstr(line, "worker"))
				pids[count++] = pid;
	}
	buf_deinit(&answer);
	return count;
}

/* words: what HAProxy says on success; empty: it says nothing then */
static int expect(const struct runtime *to, const struct buf *command, const char *words)
{
	struct buf answer = {0};
	int rc = -1;

	if (ask(to, buf_span(command), &answer) == 0 && buf_putc(&answer, '\0') == 0 &&
	    (*words ? strstr((const char *)answer.p, words) != NULL : answer.p[strspn((const char *)answer.p, "\n")] == '\0'))
		rc = 0;
	buf_deinit(&answer);
	return rc;
}

static int say(const struct runtime *to, const char *words, const char *verb, const char *a, const char *b)
{
	struct buf command = {0};
	int rc = -1;

	if (buf_printf(&command, "%s %s %s\n", verb, a, b) == 0)
		rc = expect(to, &command, words);
	buf_deinit(&command);
	return rc;
}

/* kind: "cert" or "crl-file" */
static int replace_pem(const struct runtime *to, const char *kind, const char *path, struct span pem)
{
	struct buf command = {0};
	char commit[32];
	int rc = -1;

	snprintf(commit, sizeof(commit), "commit ssl %s", kind);
	if (buf_printf(&command, "set ssl %s %s <<\n", kind, path) == 0 && buf_append_span(&command, pem) == 0 &&
	    buf_append(&command, "\n", 1) == 0 && expect(to, &command, "ransaction") == 0 &&
	    say(to, "Success", commit, path, "") == 0)
		rc = 0;
	buf_deinit(&command);
	return rc;
}

int runtime_replace_leaf(const struct runtime *to, const char *cert, struct span pem)
{
	return replace_pem(to, "cert", cert, pem);
}

int runtime_replace_crl(const struct runtime *to, const char *crl, struct span pem)
{
	return replace_pem(to, "crl-file", crl, pem);
}

int runtime_add_leaf(const struct runtime *to, const char *list, const char *cert, struct span pem)
{
	if (say(to, "New empty certificate store", "new ssl cert", cert, "") < 0 ||
	    runtime_replace_leaf(to, cert, pem) < 0)
		return -1;
	return say(to, "Success", "add ssl crt-list", list, cert);
}

int runtime_remove_leaf(const struct runtime *to, const char *list, const char *cert)
{
	if (say(to, "deleted", "del ssl crt-list", list, cert) < 0)
		return -1;
	return say(to, "deleted", "del ssl cert", cert, "");
}

static unsigned prepare_map(const struct runtime *to, const char *map)
{
	static const char words[] = "New version created: ";
	struct buf command = {0}, answer = {0};
	const char *at;
	unsigned version = 0;

	if (buf_printf(&command, "prepare map %s\n", map) == 0 && ask(to, buf_span(&command), &answer) == 0 &&
	    buf_putc(&answer, '\0') == 0 && (at = strstr((const char *)answer.p, words)))
		version = (unsigned)strtoul(at + strlen(words), NULL, 10);
	buf_deinit(&command);
	buf_deinit(&answer);
	return version;
}

/* A new version is filled unseen and then takes the old one's place at once. */
int runtime_replace_map(const struct runtime *to, const char *map, struct span lines)
{
	unsigned version = prepare_map(to, map);
	struct buf command = {0};
	const uint8_t *end;
	size_t len;
	int rc = version ? 0 : -1;

	while (rc == 0 && lines.len) {
		len = lines.len < LINES_BATCH ? lines.len : LINES_BATCH;
		end = memrchr(lines.p, '\n', len);
		if (!end)
			break;
		len = (size_t)(end - lines.p) + 1;
		buf_reset(&command);
		if (buf_printf(&command, "add map @%u %s <<\n", version, map) < 0 || buf_append(&command, lines.p, len) < 0 ||
		    buf_putc(&command, '\n') < 0 || expect(to, &command, "") < 0)
			rc = -1;
		lines = span_of(lines.p + len, lines.len - len);
	}
	buf_reset(&command);
	if (rc == 0)
		rc = buf_printf(&command, "commit map @%u %s\n", version, map) < 0 ? -1 : expect(to, &command, "");
	buf_deinit(&command);
	return rc;
}
