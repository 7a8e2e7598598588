/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where HAProxy reaches the agent: unix:PATH or tcp:HOST:PORT, opened by the master and inherited by the workers. All share
 * one accept queue, so a stopped worker leaves no connection behind in a queue of its own.
 */
#ifndef SLAPENIR_LISTEN_H
#define SLAPENIR_LISTEN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

struct listen_tls { /* files in PEM; all or none */
	const char *cert, *key, *ca;
	const char *peer; /* the name that HAProxy's certificate must carry (subjectAltName, or CN if it has none) */
};

struct listener {
	const char *spec; /* as given */
	int fd;
	bool tls;
};

/* Opens one listener. A Unix socket gets mode 0600 and belongs to uid:gid ((uid_t)-1: unchanged); what lies at its path is
 * replaced only if it is a socket that nobody answers. tcp: off loopback without TLS is refused. -1: the reason is logged. */
int listen_open(struct listener *l, const char *spec, bool tls, uid_t uid, gid_t gid);
void listen_close(struct listener *l, bool unlink_path);

/* A bound Unix socket (SOCK_STREAM or SOCK_DGRAM), mode 0600, as above; `name` says in messages what it is for. */
int listen_unix(const char *path, const char *name, int type, uid_t uid, gid_t gid);

/* Mutual TLS 1.2 or later: the peer must show a certificate of `ca` for `peer`. NULL: the reason is logged. */
SSL_CTX *listen_tls_new(const struct listen_tls *t);

#endif
