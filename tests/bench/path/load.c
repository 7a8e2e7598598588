/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Load through a gateway: CONNECT over mutual TLS, TLS inside it, HTTP/1.1. One thread for each connection.
 *
 *   load MODE HOST:PORT CA CERTIFICATE KEY NAME CONNECTIONS LIMIT REQUEST
 *
 *   keep    the request in file REQUEST again and again on each connection; LIMIT seconds, or with `xN` N times in all
 *   new     a new connection for each request
 *   events  one request on each connection, then its events for LIMIT seconds; each holds "t":NANOSECONDS
 *
 * Prints `begin` when all connections stand (the first request of each is answered), `end` when the work is done, then a line of
 * JSON: requests (or events), seconds, p50 and p99 in microseconds.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 256 * 1024, RECORD = 16384, PARALLEL_DIALS = 8 };

struct job {
	enum { KEEP, NEW, EVENTS } mode;
	struct sockaddr_in proxy;
	const char *name;
	SSL_CTX *outer, *inner;
	char *request;
	size_t request_len;
	double seconds;
	long times; /* 0: until `seconds` are over */
};

struct line {
	SSL *outer, *inner;
	int fd;
};

struct samples {
	uint32_t *ns100; /* tenths of a microsecond */
	size_t len, cap;
};

static struct job job;
static pthread_barrier_t ready;
static pthread_mutex_t dialling = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t dialled = PTHREAD_COND_INITIALIZER;
static int dials;
static atomic_long left;
static _Atomic uint64_t begin_ns, end_ns;
static atomic_long streaming;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	ERR_print_errors_fp(stderr);
	_exit(1);
}

static void keep_sample(struct samples *s, uint64_t ns)
{
	if (s->len == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 1024;
		s->ns100 = realloc(s->ns100, s->cap * sizeof(*s->ns100));
		if (!s->ns100)
			die("out of memory");
	}
	s->ns100[s->len++] = ns / 100 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / 100);
}

static void put(SSL *tls, const char *p, size_t len)
{
	while (len) {
		int n = SSL_write(tls, p, len > RECORD ? RECORD : (int)len);

		if (n <= 0)
			die("cannot write");
		p += n;
		len -= (size_t)n;
	}
}

static void connect_outer(struct line *l)
{
	char out[512], in[1024];
	int on = 1, n, len = 0;

	l->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&job.proxy, sizeof(job.proxy)) < 0)
		die("cannot connect");
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	l->outer = SSL_new(job.outer);
	SSL_set_fd(l->outer, l->fd);
	if (SSL_connect(l->outer) != 1)
		die("outer handshake");
	n = snprintf(out, sizeof(out), "CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n", job.name, job.name);
	put(l->outer, out, (size_t)n);
	while (len < (int)sizeof(in) - 1) {
		n = SSL_read(l->outer, in + len, (int)sizeof(in) - 1 - len);
		if (n <= 0)
			die("no answer to CONNECT");
		len += n;
		in[len] = '\0';
		if (strstr(in, "\r\n\r\n"))
			break;
	}
	if (strncmp(in, "HTTP/1.1 200", 12) != 0)
		die(in);
}

static void dial(struct line *l)
{
	BIO *through;

	pthread_mutex_lock(&dialling);
	while (dials >= PARALLEL_DIALS)
		pthread_cond_wait(&dialled, &dialling);
	dials++;
	pthread_mutex_unlock(&dialling);
	connect_outer(l);
	through = BIO_new(BIO_f_ssl());
	BIO_set_ssl(through, l->outer, BIO_NOCLOSE);
	l->inner = SSL_new(job.inner);
	SSL_set_tlsext_host_name(l->inner, job.name);
	SSL_set1_host(l->inner, job.name);
	SSL_set_bio(l->inner, through, through);
	if (SSL_connect(l->inner) != 1)
		die("inner handshake");
	pthread_mutex_lock(&dialling);
	dials--;
	pthread_cond_signal(&dialled);
	pthread_mutex_unlock(&dialling);
}

static void hang_up(struct line *l)
{
	SSL_free(l->inner);
	SSL_free(l->outer);
	close(l->fd);
}

enum { CHUNKED = -1 };

/* The head of an answer with status 200. Returns how many bytes of the body came along, *length: of the body in all, or CHUNKED. */
static long read_head(SSL *tls, char *in, long *length)
{
	size_t len = 0;
	char *end, *field;

	for (;;) {
		int n = SSL_read(tls, in + len, (int)(RECORD - len));

		if (n <= 0)
			die("no answer");
		len += (size_t)n;
		in[len] = '\0';
		end = strstr(in, "\r\n\r\n");
		if (end)
			break;
	}
	if (strncmp(in, "HTTP/1.1 200", 12) != 0)
		die(in);
	field = strcasestr(in, "\r\ncontent-length:");
	*length = field && field < end ? strtol(field + 17, NULL, 10) : CHUNKED;
	len -= (size_t)(end + 4 - in);
	memmove(in, end + 4, len + 1);
	return (long)len;
}

/* Does a body without a length end here? What is asked for holds nothing like its end. `tail`: the last bytes seen. */
static bool ends_here(char tail[7], const char *in, size_t len)
{
	size_t n = len < 7 ? len : 7;

	memmove(tail, tail + n, 7 - n);
	memcpy(tail + 7 - n, in + len - n, n);
	return memcmp(tail, "\r\n0\r\n\r\n", 7) == 0;
}

static void ask(SSL *tls)
{
	char in[RECORD + 1], tail[7] = {0};
	long length, have;
	bool over;

	put(tls, job.request, job.request_len);
	have = read_head(tls, in, &length);
	over = length == CHUNKED ? ends_here(tail, in, (size_t)have) : have >= length;
	while (!over) {
		int n = SSL_read(tls, in, RECORD);

		if (n <= 0)
			die("the answer was cut");
		have += n;
		over = length == CHUNKED ? ends_here(tail, in, (size_t)n) : have >= length;
	}
}

static bool goes_on(void)
{
	return job.times ? atomic_fetch_sub(&left, 1) > 0 : now_ns() < end_ns;
}

/* Reads events until the time is over; what comes while others still dial does not count. */
static void read_events(SSL *tls, struct samples *s)
{
	static const char mark[] = "\"t\":";
	char in[RECORD];
	size_t matched = 0;
	uint64_t t = 0;

	atomic_fetch_add(&streaming, 1);
	while (!end_ns || now_ns() < end_ns) {
		int n = SSL_read(tls, in, sizeof(in));
		uint64_t came = now_ns();

		if (n <= 0)
			die("the events were cut");
		for (int i = 0; i < n; i++) {
			if (matched == sizeof(mark) - 1 && isdigit((unsigned char)in[i])) {
				t = 10 * t + (uint64_t)(in[i] - '0');
				continue;
			}
			if (matched == sizeof(mark) - 1) {
				if (begin_ns && t >= begin_ns)
					keep_sample(s, came - t);
				matched = t = 0;
			}
			matched = in[i] == mark[matched] ? matched + 1 : in[i] == mark[0];
		}
	}
}

static void *work(void *arg)
{
	struct samples *s = arg;
	struct line l;
	char in[RECORD + 1];
	long length;

	dial(&l);
	if (job.mode == EVENTS) {
		put(l.inner, job.request, job.request_len);
		read_head(l.inner, in, &length);
		read_events(l.inner, s);
		return NULL;
	}
	if (!job.times) {
		ask(l.inner);
	}
	if (job.mode == NEW)
		hang_up(&l);
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&ready);
	while (goes_on()) {
		uint64_t begin = now_ns();

		if (job.mode == NEW)
			dial(&l);
		ask(l.inner);
		keep_sample(s, now_ns() - begin);
		if (job.mode == NEW)
			hang_up(&l);
	}
	return NULL;
}

static SSL_CTX *context(const char *ca, const char *certificate, const char *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
		die(ca);
	if (certificate && (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 ||
			    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1))
		die(certificate);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return ctx;
}

static void read_request(const char *path)
{
	FILE *f = fopen(path, "rb");
	long len;

	if (!f || fseek(f, 0, SEEK_END) < 0 || (len = ftell(f)) < 0)
		die(path);
	rewind(f);
	job.request = malloc((size_t)len);
	job.request_len = (size_t)len;
	if (!job.request || fread(job.request, 1, (size_t)len, f) != (size_t)len)
		die(path);
	fclose(f);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(struct samples *each, long threads, double seconds)
{
	struct samples all = {0};

	for (long i = 0; i < threads; i++)
		for (size_t k = 0; k < each[i].len; k++)
			keep_sample(&all, 100ull * each[i].ns100[k]);
	if (!all.len)
		die("nothing was answered in time");
	qsort(all.ns100, all.len, sizeof(*all.ns100), compare);
	printf("{\"count\": %zu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", all.len, seconds, all.ns100[all.len / 2] / 10.0,
	       all.ns100[all.len * 99 / 100] / 10.0);
}

static void parse(char **argv)
{
	const char *colon = strrchr(argv[2], ':');
	char host[64];

	job.mode = strcmp(argv[1], "keep") == 0 ? KEEP : strcmp(argv[1], "new") == 0 ? NEW : EVENTS;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - argv[2]), argv[2]);
	job.proxy = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
	if (inet_pton(AF_INET, host, &job.proxy.sin_addr) != 1)
		die(argv[2]);
	job.outer = context(argv[3], argv[4], argv[5]);
	job.inner = context(argv[3], NULL, NULL);
	job.name = argv[6];
	if (argv[8][0] == 'x')
		job.times = atol(argv[8] + 1);
	else
		job.seconds = atof(argv[8]);
	read_request(argv[9]);
}

int main(int argc, char **argv)
{
	long threads = argc == 10 ? atol(argv[7]) : 0;
	struct samples *each;
	pthread_t *ids;
	pthread_attr_t attr;

	if (threads < 1 || !strrchr(argv[2], ':'))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	parse(argv);
	each = calloc((size_t)threads, sizeof(*each));
	ids = calloc((size_t)threads, sizeof(*ids));
	pthread_barrier_init(&ready, NULL, (unsigned)threads + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (long i = 0; i < threads; i++)
		if (pthread_create(&ids[i], &attr, work, &each[i]) != 0)
			die("cannot start a thread");
	if (job.mode != EVENTS)
		pthread_barrier_wait(&ready);
	while (job.mode == EVENTS && streaming < threads)
		usleep(10000);
	puts("begin");
	fflush(stdout);
	getchar(); /* who reads this has taken his figures */
	begin_ns = now_ns();
	end_ns = begin_ns + (uint64_t)(job.seconds * 1e9);
	atomic_store(&left, job.times);
	if (job.mode != EVENTS)
		pthread_barrier_wait(&ready);
	for (long i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	puts("end");
	fflush(stdout);
	report(each, threads, (double)(now_ns() - begin_ns) / 1e9);
	return 0;
}
