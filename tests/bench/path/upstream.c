/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * upstream PORT CERTIFICATE KEY BLOCKS: a TLS server that costs little, so that what stands before it is measured.
 *
 *   /down/KIND/MEGABYTES   the file BLOCKS/KIND over and over
 *   /sse/MS                an event every MS milliseconds, for ever; each says when it was written (CLOCK_MONOTONIC, ns)
 *   all else               1 KB of JSON; any body is read first
 *
 * One thread for each connection: a thousand of them sleep for nothing.
 */
#include <ctype.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { KINDS = 8, STACK = 128 * 1024, RECORD = 16384, MEGABYTE = 1 << 20 };

struct block {
	char name[32], *bytes;
	size_t len;
};

struct peer {
	SSL *tls;
	char in[RECORD + 1];
	size_t len;
};

static struct block blocks[KINDS];
static SSL_CTX *ctx;
static const char *folder;

/* Blocks are read once, by whoever needs one first. */
static const struct block *block_of(const char *name)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct block *found = NULL;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < KINDS && !found; i++) {
		struct block *b = &blocks[i];

		if (b->len && strcmp(b->name, name) == 0) {
			found = b;
		} else if (!b->len) {
			char path[512];
			FILE *f;

			snprintf(path, sizeof(path), "%s/%s", folder, name);
			f = fopen(path, "rb");
			b->bytes = malloc(MEGABYTE);
			if (f && b->bytes)
				b->len = fread(b->bytes, 1, MEGABYTE, f);
			if (f)
				fclose(f);
			snprintf(b->name, sizeof(b->name), "%s", name);
			found = b->len ? b : NULL;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static int put(SSL *tls, const char *p, size_t len)
{
	while (len) {
		int n = SSL_write(tls, p, len > RECORD ? RECORD : (int)len);

		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_small(SSL *tls)
{
	static const char item[] = "{\"object\":\"list\",\"data\":[{\"id\":\"model-1\",\"owned_by\":\"system\"}]}";
	char out[2048];
	int n = snprintf(out, sizeof(out), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
			 16 * (sizeof(item) - 1));

	for (int i = 0; i < 16; i++)
		n += snprintf(out + n, sizeof(out) - (size_t)n, "%s", item);
	return put(tls, out, (size_t)n);
}

static int send_down(SSL *tls, const char *kind, size_t megabytes)
{
	const struct block *b = block_of(kind);
	size_t left = megabytes * MEGABYTE;
	char head[160];
	int n;

	if (!b)
		return -1;
	n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %zu\r\n\r\n", left);
	if (put(tls, head, (size_t)n) < 0)
		return -1;
	while (left) {
		size_t len = left < b->len ? left : b->len;

		if (put(tls, b->bytes, len) < 0)
			return -1;
		left -= len;
	}
	return 0;
}

static void sleep_until(struct timespec *at, long ms)
{
	at->tv_nsec += ms * 1000000;
	at->tv_sec += at->tv_nsec / 1000000000;
	at->tv_nsec %= 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, at, NULL);
}

static int send_events(SSL *tls, long ms)
{
	static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
	unsigned seed = (unsigned)(uintptr_t)tls ^ (unsigned)time(NULL);
	struct timespec at, now;

	if (put(tls, head, sizeof(head) - 1) < 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &at);
	sleep_until(&at, rand_r(&seed) % ms);
	for (;;) {
		char event[256], chunk[300];
		int n;

		clock_gettime(CLOCK_MONOTONIC, &now);
		n = snprintf(event, sizeof(event), "data: {\"type\":\"content_block_delta\",\"t\":%lld%09ld,\"delta\":{\"text\":\"of the same kind\"}}\n\n",
			     (long long)now.tv_sec, now.tv_nsec);
		n = snprintf(chunk, sizeof(chunk), "%x\r\n%s\r\n", n, event);
		if (put(tls, chunk, (size_t)n) < 0)
			return -1;
		sleep_until(&at, ms);
	}
}

static int route(SSL *tls, const char *head)
{
	char kind[32];
	size_t megabytes;
	long ms;

	if (sscanf(head, "%*s /down/%31[a-z]/%zu", kind, &megabytes) == 2)
		return send_down(tls, kind, megabytes);
	if (sscanf(head, "%*s /sse/%ld", &ms) == 1 && ms > 0)
		return send_events(tls, ms);
	return send_small(tls);
}

static int more(struct peer *p)
{
	int n = SSL_read(p->tls, p->in + p->len, (int)(RECORD - p->len));

	if (n <= 0)
		return -1;
	p->len += (size_t)n;
	p->in[p->len] = '\0';
	return 0;
}

static int skip_body(struct peer *p, size_t length)
{
	while (length > p->len) {
		length -= p->len;
		p->len = 0;
		if (more(p) < 0)
			return -1;
	}
	p->len -= length;
	memmove(p->in, p->in + length, p->len + 1);
	return 0;
}

static int answer(struct peer *p)
{
	char head[RECORD + 1], *end, *field;
	size_t length = 0;

	while (!(end = p->len ? strstr(p->in, "\r\n\r\n") : NULL))
		if (more(p) < 0)
			return -1;
	end += 4;
	memcpy(head, p->in, (size_t)(end - p->in));
	head[end - p->in] = '\0';
	p->len -= (size_t)(end - p->in);
	memmove(p->in, end, p->len + 1);
	field = strcasestr(head, "\r\ncontent-length:");
	if (field)
		length = strtoul(field + 17, NULL, 10);
	return skip_body(p, length) < 0 ? -1 : route(p->tls, head);
}

static void *serve(void *fd)
{
	struct peer p = {.tls = SSL_new(ctx)};

	SSL_set_fd(p.tls, (int)(intptr_t)fd);
	if (SSL_accept(p.tls) == 1)
		while (answer(&p) == 0)
			;
	SSL_free(p.tls);
	close((int)(intptr_t)fd);
	return NULL;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(fd, 4096) < 0)
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	int listener;

	if (argc != 5)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	folder = argv[4];
	ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_use_certificate_chain_file(ctx, argv[2]) != 1 || SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM) != 1)
		return 1;
	listener = listen_on((uint16_t)atoi(argv[1]));
	if (listener < 0)
		return 1;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int on = 1, fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (pthread_create(&thread, &attr, serve, (void *)(intptr_t)fd) != 0)
			close(fd);
	}
}
