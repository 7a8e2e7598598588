/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaf.h"

static char dir[64];
static struct leaf_ca *ca;

static void at(char out[PATH_MAX], const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", dir, name);
}

static int open_ca(void **state)
{
	char command[PATH_MAX];
	const char *why;

	(void)state;
	strcpy(dir, "/tmp/test-leaf-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "ca/dev-ca.sh init %s 127.0.0.1 && ca/dev-ca.sh init %s/other 127.0.0.1", dir, dir);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s/ca", dir);
	ca = leaf_ca_open(command, &why);
	assert_non_null(ca);
	return 0;
}

static int remove_ca(void **state)
{
	char command[PATH_MAX];

	(void)state;
	leaf_ca_free(ca);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static X509 *read_leaf(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *crt;

	assert_non_null(f);
	crt = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(crt);
	return crt;
}

static void leaf__of_84_byte_name__has_only_that_san_and_serves_only(void **state)
{
	static const char name[] = "a-name-that-is-much-longer-than-what-fits-into-a-common-name-of-64.bytes.example.org";
	char path[PATH_MAX];
	struct stat st;
	X509 *crt;

	(void)state;
	assert_int_equal(strlen(name), 84);
	at(path, "long.pem");
	assert_int_equal(leaf_write(ca, path, name), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	crt = read_leaf(path);
	assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(crt)), 0);
	assert_int_equal(X509_check_host(crt, name, 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(crt, "example.org", 0, 0, NULL), 0);
	assert_int_equal(X509_check_purpose(crt, X509_PURPOSE_SSL_SERVER, 0), 1);
	assert_int_equal(X509_check_purpose(crt, X509_PURPOSE_SSL_CLIENT, 0), 0);
	assert_int_equal(X509_check_ca(crt), 0);
	X509_free(crt);
}

static void leaf__of_wildcard__covers_one_label(void **state)
{
	char path[PATH_MAX];
	X509 *crt;

	(void)state;
	at(path, "wild.pem");
	assert_int_equal(leaf_write(ca, path, "*.example.org"), 0);
	crt = read_leaf(path);
	assert_int_equal(X509_check_host(crt, "a.example.org", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(crt, "a.b.example.org", 0, 0, NULL), 0);
	assert_int_equal(X509_check_host(crt, "example.org", 0, 0, NULL), 0);
	X509_free(crt);
}

static void leaf__whose_name_looks_like_extensions__is_one_dns_name(void **state)
{
	char path[PATH_MAX];
	GENERAL_NAMES *san;
	X509 *crt;

	(void)state;
	at(path, "odd.pem");
	assert_int_equal(leaf_write(ca, path, "a.test,DNS:b.test"), 0);
	crt = read_leaf(path);
	san = X509_get_ext_d2i(crt, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(san), 1);
	assert_int_equal(X509_check_host(crt, "b.test", 0, 0, NULL), 0);
	GENERAL_NAMES_free(san);
	X509_free(crt);
}

static void leaf__that_is_fresh__is_good_for_its_ca_and_name_only(void **state)
{
	char path[PATH_MAX], other_dir[PATH_MAX];
	struct leaf_ca *other;
	const char *why;

	(void)state;
	at(path, "good.pem");
	assert_int_equal(leaf_write(ca, path, "good.test"), 0);
	assert_true(leaf_is_good(ca, path, "good.test"));
	assert_false(leaf_is_good(ca, path, "goo.test"));
	at(other_dir, "other/ca");
	other = leaf_ca_open(other_dir, &why);
	assert_non_null(other);
	assert_false(leaf_is_good(other, path, "good.test"));
	leaf_ca_free(other);
}

/* `openssl` signs what leaf_write() would not: one day left is less than LEAF_RENEW_DAYS. */
static void leaf__with_a_day_left__is_not_good(void **state)
{
	char path[PATH_MAX], command[4 * PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command),
	         "cd %s && openssl ecparam -name prime256v1 -genkey -noout -out o.key && openssl req -new -key o.key -subj / -out o.csr && "
	         "printf 'subjectAltName=critical,DNS:old.test' > o.ext && "
	         "openssl x509 -req -in o.csr -CA ca/intercept.crt -CAkey ca/intercept.key -set_serial 7 -days $DAYS -extfile o.ext "
	         "-out o.crt 2>/dev/null && cat o.crt o.key > old.pem",
	         dir);
	at(path, "old.pem");
	setenv("DAYS", "4", 1);
	assert_int_equal(system(command), 0);
	assert_true(leaf_is_good(ca, path, "old.test"));
	setenv("DAYS", "1", 1);
	assert_int_equal(system(command), 0);
	assert_false(leaf_is_good(ca, path, "old.test"));
}

static void leaf_write__where_a_file_is__refuses(void **state)
{
	char path[PATH_MAX];

	(void)state;
	at(path, "twice.pem");
	assert_int_equal(leaf_write(ca, path, "twice.test"), 0);
	assert_int_equal(leaf_write(ca, path, "twice.test"), -1);
	assert_true(leaf_is_good(ca, path, "twice.test"));
}

static void leaf_ca_open__without_its_key__says_which_file(void **state)
{
	char empty[PATH_MAX];
	const char *why = NULL;

	(void)state;
	at(empty, "nothing");
	assert_null(leaf_ca_open(empty, &why));
	assert_non_null(strstr(why, "intercept.crt"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaf__of_84_byte_name__has_only_that_san_and_serves_only),
		cmocka_unit_test(leaf__of_wildcard__covers_one_label),
		cmocka_unit_test(leaf__whose_name_looks_like_extensions__is_one_dns_name),
		cmocka_unit_test(leaf__that_is_fresh__is_good_for_its_ca_and_name_only),
		cmocka_unit_test(leaf__with_a_day_left__is_not_good),
		cmocka_unit_test(leaf_write__where_a_file_is__refuses),
		cmocka_unit_test(leaf_ca_open__without_its_key__says_which_file),
	};

	return cmocka_run_group_tests(tests, open_ca, remove_ca);
}
