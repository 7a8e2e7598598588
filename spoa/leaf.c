/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "leaf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SERIAL_BYTES = 20,    /* RFC 5280: at most 20, positive */
	BACKDATE = 60 * 60,   /* seconds; the sandbox's clock may be behind */
	DAY = 24 * 60 * 60,
};

struct leaf_ca {
	X509 *crt;
	EVP_PKEY *key;
};

static X509 *read_crt(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *crt;

	if (!f)
		return NULL;
	crt = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	return crt;
}

static EVP_PKEY *read_key(const char *path)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *key;

	if (!f)
		return NULL;
	key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	return key;
}

struct leaf_ca *leaf_ca_open(const char *ca_dir, const char **why)
{
	char crt[PATH_MAX], key[PATH_MAX];
	struct leaf_ca *ca = calloc(1, sizeof(*ca));

	*why = "out of memory";
	if (!ca)
		return NULL;
	*why = "path too long";
	if (snprintf(crt, sizeof(crt), "%s/intercept.crt", ca_dir) >= (int)sizeof(crt) ||
	    snprintf(key, sizeof(key), "%s/intercept.key", ca_dir) >= (int)sizeof(key))
		goto err;
	*why = "intercept.crt cannot be read as a PEM certificate";
	ca->crt = read_crt(crt);
	if (!ca->crt)
		goto err;
	*why = "intercept.key cannot be read as a PEM private key";
	ca->key = read_key(key);
	if (!ca->key)
		goto err;
	*why = "intercept.key is not the key of intercept.crt";
	if (X509_check_private_key(ca->crt, ca->key) != 1)
		goto err;
	return ca;
err:
	leaf_ca_free(ca);
	return NULL;
}

void leaf_ca_free(struct leaf_ca *ca)
{
	if (!ca)
		return;
	X509_free(ca->crt);
	EVP_PKEY_free(ca->key);
	free(ca);
}

/* The SAN is exactly one DNS name, this one. */
static bool names_only(X509 *crt, const char *name)
{
	GENERAL_NAMES *san = X509_get_ext_d2i(crt, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *n;
	bool same = false;

	if (san && sk_GENERAL_NAME_num(san) == 1) {
		n = sk_GENERAL_NAME_value(san, 0);
		same = n->type == GEN_DNS && (size_t)ASN1_STRING_length(n->d.dNSName) == strlen(name) &&
		       memcmp(ASN1_STRING_get0_data(n->d.dNSName), name, strlen(name)) == 0;
	}
	GENERAL_NAMES_free(san);
	return same;
}

bool leaf_is_good(const struct leaf_ca *ca, const char *path, const char *name)
{
	time_t limit = time(NULL) + LEAF_RENEW_DAYS * DAY;
	X509 *crt = read_crt(path);
	EVP_PKEY *key = crt ? read_key(path) : NULL;
	bool good;

	good = key && X509_check_private_key(crt, key) == 1 && X509_verify(crt, ca->key) == 1 &&
	       X509_cmp_time(X509_get0_notAfter(crt), &limit) > 0 && names_only(crt, name);
	EVP_PKEY_free(key);
	X509_free(crt);
	return good;
}

static bool add_extension(X509 *crt, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	bool ok = ext && X509_add_ext(crt, ext, -1) == 1;

	X509_EXTENSION_free(ext);
	return ok;
}

/* Built as a structure, not from text: a name must not be able to bring another extension with it. Critical, because the
 * subject is empty. */
static bool add_san(X509 *crt, const char *name)
{
	GENERAL_NAMES *san = GENERAL_NAMES_new();
	GENERAL_NAME *n = GENERAL_NAME_new();
	ASN1_IA5STRING *dns = ASN1_IA5STRING_new();
	bool ok = false;

	if (san && n && dns && ASN1_STRING_set(dns, name, -1) == 1) {
		GENERAL_NAME_set0_value(n, GEN_DNS, dns);
		dns = NULL;
		if (sk_GENERAL_NAME_push(san, n) > 0) {
			n = NULL;
			ok = X509_add1_ext_i2d(crt, NID_subject_alt_name, san, 1, X509V3_ADD_DEFAULT) == 1;
		}
	}
	ASN1_IA5STRING_free(dns);
	GENERAL_NAME_free(n);
	GENERAL_NAMES_free(san);
	return ok;
}

static bool set_serial(X509 *crt)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *bn;
	bool ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (bytes[0] & 0x7f) | 0x40;
	bn = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(crt));
	BN_free(bn);
	return ok;
}

static X509 *make_crt(const struct leaf_ca *ca, EVP_PKEY *key, const char *name)
{
	X509 *crt = X509_new();
	X509V3_CTX ctx;

	if (!crt)
		return NULL;
	X509V3_set_ctx(&ctx, ca->crt, crt, NULL, NULL, 0);
	if (X509_set_version(crt, X509_VERSION_3) == 1 && set_serial(crt) &&
	    X509_set_issuer_name(crt, X509_get_subject_name(ca->crt)) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(crt), -BACKDATE) && X509_gmtime_adj(X509_getm_notAfter(crt), LEAF_DAYS * DAY) &&
	    X509_set_pubkey(crt, key) == 1 && add_extension(crt, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(crt, &ctx, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(crt, &ctx, NID_ext_key_usage, "serverAuth") && add_san(crt, name) &&
	    add_extension(crt, &ctx, NID_subject_key_identifier, "hash") &&
	    add_extension(crt, &ctx, NID_authority_key_identifier, "keyid") && X509_sign(crt, ca->key, EVP_sha256()) > 0)
		return crt;
	X509_free(crt);
	return NULL;
}

int leaf_write(const struct leaf_ca *ca, const char *path, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *crt = key ? make_crt(ca, key, name) : NULL;
	int fd = crt ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	int rc = -1;

	if (f) {
		if (PEM_write_X509(f, crt) == 1 && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		    PEM_write_X509(f, ca->crt) == 1)
			rc = 0;
		if (fclose(f) != 0)
			rc = -1;
	} else if (fd >= 0) {
		close(fd);
	}
	if (rc < 0 && fd >= 0)
		unlink(path);
	X509_free(crt);
	EVP_PKEY_free(key);
	return rc;
}
