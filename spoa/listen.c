/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

enum { BACKLOG = 1024 };

/* A socket file whose owner has died stays behind; one that answers belongs to another gateway. */
static int unix_clear(const struct sockaddr_un *addr, const char *name, int type)
{
	struct stat st;
	int fd, rc;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		log_error("%s: something that is no socket lies there; remove it or choose another path", name);
		return -1;
	}
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	close(fd);
	if (rc == 0 || errno == EAGAIN) {
		log_error("%s: another process answers there; stop it first or choose another path", name);
		return -1;
	}
	return unlink(addr->sun_path);
}

int listen_unix(const char *path, const char *name, int type, uid_t uid, gid_t gid)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		log_error("%s: a socket's path has at most %zu bytes", name, sizeof(addr.sun_path) - 1);
		return -1;
	}
	strcpy(addr.sun_path, path);
	if (unix_clear(&addr, name, type) < 0)
		return -1;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (rc < 0 || (uid != (uid_t)-1 && lchown(path, uid, gid) < 0)) {
		log_error("%s: %m", name);
		close(fd);
		return -1;
	}
	return fd;
}

static bool is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == 127;
	return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

/* HOST:PORT, [V6]:PORT. The name lives in room. */
static int tcp_split(const char *text, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t len;

	if (!colon || colon == text || !colon[1])
		return -1;
	len = (size_t)(colon - text);
	if (text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= size)
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	*port = colon + 1;
	return 0;
}

static int tcp_open(const char *text, const char *spec, bool tls)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list;
	int fd, rc, on = 1, off = 0;
	const char *port;
	char host[256];

	if (tcp_split(text, host, sizeof(host), &port) < 0) {
		log_error("%s: write tcp:HOST:PORT, an IPv6 address in brackets", spec);
		return -1;
	}
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0) {
		log_error("%s: %s", spec, gai_strerror(rc));
		return -1;
	}
	if (!tls && !is_loopback(list->ai_addr)) {
		log_error("%s: whoever reaches this port reads rehydrated secrets; give --tls-cert, --tls-key, --tls-ca "
		          "and --tls-peer, or listen on loopback or on unix:PATH", spec);
		freeaddrinfo(list);
		return -1;
	}
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		if (bind(fd, list->ai_addr, list->ai_addrlen) < 0) {
			log_error("%s: %m", spec);
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

int listen_open(struct listener *l, const char *spec, bool tls, uid_t uid, gid_t gid)
{
	*l = (struct listener){.spec = spec, .fd = -1};
	if (strncmp(spec, "unix:", 5) == 0) {
		l->fd = listen_unix(spec + 5, spec, SOCK_STREAM, uid, gid);
	} else if (strncmp(spec, "tcp:", 4) == 0) {
		l->fd = tcp_open(spec + 4, spec, tls);
		l->tls = tls;
	} else {
		log_error("%s: write unix:PATH or tcp:HOST:PORT", spec);
	}
	if (l->fd < 0)
		return -1;
	if (listen(l->fd, BACKLOG) < 0) {
		log_error("%s: %m", spec);
		listen_close(l, false);
		return -1;
	}
	return 0;
}

void listen_close(struct listener *l, bool unlink_path)
{
	if (l->fd < 0)
		return;
	if (unlink_path && strncmp(l->spec, "unix:", 5) == 0)
		unlink(l->spec + 5);
	close(l->fd);
	l->fd = -1;
}

static SSL_CTX *tls_fail(SSL_CTX *ctx, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	log_error("%s: %s", what, reason ? reason : "cannot be used");
	ERR_clear_error();
	SSL_CTX_free(ctx);
	return NULL;
}

SSL_CTX *listen_tls_new(const struct listen_tls *t)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509_VERIFY_PARAM *param;

	if (!ctx)
		return tls_fail(NULL, "TLS");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* tickets of one worker are no use to another, and a session cache would outlive a certificate */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_use_certificate_chain_file(ctx, t->cert) != 1)
		return tls_fail(ctx, t->cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, t->key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return tls_fail(ctx, t->key);
	if (SSL_CTX_load_verify_locations(ctx, t->ca, NULL) != 1)
		return tls_fail(ctx, t->ca);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	param = SSL_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_host(param, t->peer, 0) != 1)
		return tls_fail(ctx, "--tls-peer");
	return ctx;
}
