/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Leaf certificates for interception: one for a host or wildcard, signed by the interception CA, whose key only the master
 * and `slapenir render` read.
 */
#ifndef SLAPENIR_LEAF_H
#define SLAPENIR_LEAF_H

#include <stdbool.h>

enum {
	LEAF_DAYS = 7,
	LEAF_RENEW_DAYS = 3, /* one with fewer days left is made anew */
};

struct leaf_ca;

/* Reads intercept.crt and intercept.key in ca_dir. NULL: *why says what is wrong (static string). */
struct leaf_ca *leaf_ca_open(const char *ca_dir, const char **why);
void leaf_ca_free(struct leaf_ca *ca);

/* Is the PEM file at path a leaf of this CA for exactly this name, with more than LEAF_RENEW_DAYS left? */
bool leaf_is_good(const struct leaf_ca *ca, const char *path, const char *name);

/* Writes a new file (mode 0600, must not exist): certificate, its private key, the CA's certificate. The name (DNS name, or
 * wildcard) stands in the SAN only, so its length does not matter. -1: nothing usable was written, errno may say why. */
int leaf_write(const struct leaf_ca *ca, const char *path, const char *name) __attribute__((warn_unused_result));

#endif
