/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway.h"
#include "leaf.h"
#include "policy.h"
#include "render.h"
#include "stage.h"

static char dir[64];
static struct report report;
static struct buf text;
static pid_t haproxy;

static void at(char out[PATH_MAX], const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", dir, name);
}

static void shell(const char *command)
{
	setenv("D", dir, 1);
	assert_int_equal(system(command), 0);
}

/* Of a file; "" when there is none. */
static const char *slurp(const char *name)
{
	char path[PATH_MAX];

	at(path, name);
	buf_reset(&text);
	if (stage_slurp(AT_FDCWD, path, &text) < 0)
		buf_reset(&text);
	assert_int_equal(buf_putc(&text, '\0'), 0);
	return (const char *)text.p;
}

static void put(const char *name, const char *content)
{
	char path[PATH_MAX];
	FILE *f;

	at(path, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(content, f);
	assert_int_equal(fclose(f), 0);
}

/* ------ what HAProxy says on its sockets: a process that notes the first line of each command in `said` ------ */

static volatile sig_atomic_t reloads;

static void usr2(int sig)
{
	(void)sig;
	reloads++;
}

static int listen_at(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char path[PATH_MAX];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at(path, name);
	assert_true(strlen(path) < sizeof(a.sun_path));
	strcpy(a.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static const char *answer_to(const char *command, bool obeys)
{
	static char workers[64];

	if (strncmp(command, "show proc", 9) == 0) {
		snprintf(workers, sizeof(workers), "#<PID> <type>\n%d worker 0d\n", 100000 + (int)reloads);
		return workers;
	}
	if (!obeys)
		return "no\n";
	if (strncmp(command, "set ssl", 7) == 0)
		return "Transaction created for certificate\n";
	if (strncmp(command, "commit ssl", 10) == 0)
		return "Committing\nSuccess!\n";
	return "\n";
}

static void serve_one(int fd, bool obeys)
{
	struct buf command = {0};
	uint8_t piece[4096];
	const char *answer;
	char path[PATH_MAX];
	FILE *said;
	ssize_t n;

	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
		buf_append(&command, piece, (size_t)n);
	buf_putc(&command, '\0');
	answer = answer_to((const char *)command.p, obeys);
	at(path, "said");
	said = fopen(path, "ae");
	if (said) {
		fprintf(said, "%.*s\n", (int)strcspn((const char *)command.p, "\n"), (const char *)command.p);
		fclose(said);
	}
	(void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	close(fd);
	buf_deinit(&command);
}

static void haproxy_start(bool obeys)
{
	struct pollfd sockets[2];
	char pid[16];

	sockets[0] = (struct pollfd){.fd = listen_at("run/stats.sock"), .events = POLLIN};
	sockets[1] = (struct pollfd){.fd = listen_at("run/master.sock"), .events = POLLIN};
	signal(SIGUSR2, usr2); /* before fork(), so that no signal comes too early */
	haproxy = fork();
	assert_true(haproxy >= 0);
	if (haproxy == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			if (poll(sockets, 2, -1) > 0)
				for (unsigned i = 0; i < 2; i++)
					if (sockets[i].revents)
						serve_one(accept4(sockets[i].fd, NULL, NULL, SOCK_CLOEXEC), obeys);
	}
	close(sockets[0].fd);
	close(sockets[1].fd);
	snprintf(pid, sizeof(pid), "%d\n", (int)haproxy);
	put("haproxy.pid", pid);
}

/* ------ a state directory ------ */

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test-gateway-XXXXXX");
	assert_non_null(mkdtemp(dir));
	shell("ca/dev-ca.sh init $D 127.0.0.1 && mkdir -p $D/run $D/haproxy/leaves");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (haproxy > 0) {
		kill(haproxy, SIGKILL);
		waitpid(haproxy, NULL, 0);
	}
	haproxy = 0;
	report_deinit(&report);
	report = (struct report){0};
	buf_deinit(&text);
	shell("rm -rf $D");
	return 0;
}

static void assert_reported(const char *words)
{
	assert_int_equal(buf_putc(&report.text, '\0'), 0);
	report.text.len--;
	assert_non_null(strstr((const char *)report.text.p, words));
}

static bool is_good(const char *file, const char *name)
{
	char ca_dir[PATH_MAX], path[PATH_MAX];
	struct leaf_ca *ca;
	const char *why;
	bool good;

	at(ca_dir, "ca");
	at(path, file);
	ca = leaf_ca_open(ca_dir, &why);
	assert_non_null(ca);
	good = leaf_is_good(ca, path, name);
	leaf_ca_free(ca);
	return good;
}

/* A good leaf of good.test, and one of *.old.test that has a day left. */
static void make_leaves(void)
{
	char ca_dir[PATH_MAX], path[PATH_MAX];
	struct leaf_ca *ca;
	const char *why;

	at(ca_dir, "ca");
	ca = leaf_ca_open(ca_dir, &why);
	assert_non_null(ca);
	at(path, "haproxy/leaves/good.test.pem");
	assert_int_equal(leaf_write(ca, path, "good.test"), 0);
	leaf_ca_free(ca);
	shell("cd $D && openssl ecparam -name prime256v1 -genkey -noout -out o.key && openssl req -new -key o.key -subj / -out o.csr && "
	      "printf 'subjectAltName=critical,DNS:*.old.test' > o.ext && "
	      "openssl x509 -req -in o.csr -CA ca/intercept.crt -CAkey ca/intercept.key -set_serial 7 -days 1 -extfile o.ext -out o.crt "
	      "2>/dev/null && cat o.crt o.key > haproxy/leaves/_.old.test.pem && cp haproxy/leaves/good.test.pem before.pem");
	put("haproxy/crt-list", "good.test.pem\n_.old.test.pem\n");
	assert_false(is_good("haproxy/leaves/_.old.test.pem", "*.old.test"));
}

/* ------ gateway_renew() ------ */

static void renew__one_leaf_of_two_expires__haproxy_gets_that_one(void **state)
{
	char path[PATH_MAX];
	struct stat st;

	(void)state;
	make_leaves();
	haproxy_start(true);
	assert_int_equal(gateway_renew(dir, &report), 0);
	assert_true(is_good("haproxy/leaves/_.old.test.pem", "*.old.test"));
	at(path, "haproxy/leaves/_.old.test.pem");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	shell("cmp -s $D/before.pem $D/haproxy/leaves/good.test.pem");
	assert_non_null(strstr(slurp("said"), "_.old.test.pem <<\ncommit ssl cert "));
	assert_null(strstr(slurp("said"), "good.test"));
	assert_null(strstr(slurp("said"), "show proc"));
	/* and then there is nothing to do */
	put("said", "");
	assert_int_equal(gateway_renew(dir, &report), 0);
	assert_string_equal(slurp("said"), "");
	assert_int_equal(report.errors, 0);
}

static void renew__haproxy_takes_no_certificate__is_reloaded(void **state)
{
	(void)state;
	make_leaves();
	haproxy_start(false);
	assert_int_equal(gateway_renew(dir, &report), 0);
	assert_true(is_good("haproxy/leaves/_.old.test.pem", "*.old.test"));
	assert_non_null(strstr(slurp("said"), "show proc\nshow proc\n")); /* until there is a new worker */
	assert_int_equal(report.errors, 0);
}

static void renew__no_haproxy__makes_leaves_and_says_so(void **state)
{
	(void)state;
	make_leaves();
	assert_int_equal(gateway_renew(dir, &report), -1);
	assert_true(is_good("haproxy/leaves/_.old.test.pem", "*.old.test"));
	assert_reported("names no running HAProxy");
}

static void renew__no_ca__says_which_file(void **state)
{
	(void)state;
	make_leaves();
	shell("rm $D/ca/intercept.key");
	assert_int_equal(gateway_renew(dir, &report), -1);
	assert_reported("intercept.key");
}

/* One that cannot be made is no reason to let the others expire. */
static void renew__a_leaf_that_cannot_be_made__renews_the_others(void **state)
{
	(void)state;
	make_leaves();
	put("haproxy/crt-list", ".pem\n_.old.test.pem\n");
	haproxy_start(true);
	assert_int_equal(gateway_renew(dir, &report), -1);
	assert_reported("leaves/.pem cannot be renewed");
	assert_true(is_good("haproxy/leaves/_.old.test.pem", "*.old.test"));
	assert_non_null(strstr(slurp("said"), "_.old.test.pem <<\ncommit ssl cert "));
}

/* ------ gateway_reload_undo() ------ */

static void render(const char *host)
{
	static const uint8_t key[32] = "a key of 32 bytes for this test";
	char file[PATH_MAX], yaml[256];
	struct policy_options options = {.file = file, .key = key};
	struct policy *p;

	snprintf(yaml, sizeof(yaml), "hosts:\n  %s: {}\n", host);
	put("policy.yaml", yaml);
	at(file, "policy.yaml");
	p = policy_load(&options, &report);
	assert_non_null(p);
	assert_int_equal(render_stage(p, dir, false, &report), 0);
	assert_int_equal(render_commit(dir, &report), 0);
	policy_free(p);
}

static void undo__after_a_commit__gives_back_the_files_and_reloads(void **state)
{
	(void)state;
	render("first.test");
	render("second.test");
	assert_non_null(strstr(slurp("haproxy/hosts.map"), "second.test:443"));
	haproxy_start(true);
	assert_int_equal(gateway_reload_undo(dir, &report), 0);
	assert_non_null(strstr(slurp("haproxy/hosts.map"), "first.test:443"));
	assert_null(strstr(slurp("haproxy/hosts.map"), "second.test"));
	assert_non_null(strstr(slurp("haproxy/crt-list"), "first.test.pem\n"));
	assert_null(strstr(slurp("haproxy/crt-list"), "second.test"));
	assert_true(is_good("haproxy/leaves/first.test.pem", "first.test"));
	assert_non_null(strstr(slurp("said"), "show proc\nshow proc\n"));
}

static void undo__no_haproxy__gives_back_the_files_and_says_so(void **state)
{
	(void)state;
	render("first.test");
	render("second.test");
	put("haproxy.pid", "1\n"); /* never a process to be told anything */
	assert_int_equal(gateway_reload_undo(dir, &report), -1);
	assert_reported("names no running HAProxy");
	assert_non_null(strstr(slurp("haproxy/hosts.map"), "first.test:443"));
}

static void undo__nothing_was_rendered__says_so(void **state)
{
	(void)state;
	assert_int_equal(gateway_reload_undo(dir, &report), -1);
	assert_reported("nothing was rendered there");
}

/* ------ gateway_reload() ------ */

static void reload__no_gateway_was_started__says_so_and_commits_nothing(void **state)
{
	char file[PATH_MAX];

	(void)state;
	render("first.test");
	at(file, "policy.yaml");
	put("policy.yaml", "hosts:\n  second.test: {}\n");
	shell("head -c 32 /dev/urandom > $D/placeholder.key");
	assert_int_equal(gateway_reload(file, dir, &report), -1);
	assert_reported("no gateway was started with this state");
	assert_non_null(strstr(slurp("haproxy/hosts.map"), "first.test:443"));
}

static void reload__haproxy_refuses_what_was_rendered__commits_nothing(void **state)
{
	char file[PATH_MAX];

	(void)state;
	render("first.test");
	at(file, "policy.yaml");
	put("policy.yaml", "hosts:\n  second.test: {}\n");
	put("haproxy/check.sh", "test -s \"$SLAPENIR_RENDERED/hosts.cfg\" && exit 1\n");
	shell("head -c 32 /dev/urandom > $D/placeholder.key");
	assert_int_equal(gateway_reload(file, dir, &report), -1);
	assert_reported("HAProxy does not accept what was rendered");
	assert_non_null(strstr(slurp("haproxy/hosts.map"), "first.test:443"));
	assert_null(strstr(slurp("haproxy/hosts.map"), "second.test"));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(renew__one_leaf_of_two_expires__haproxy_gets_that_one),
		TEST(renew__haproxy_takes_no_certificate__is_reloaded),
		TEST(renew__no_haproxy__makes_leaves_and_says_so),
		TEST(renew__no_ca__says_which_file),
		TEST(renew__a_leaf_that_cannot_be_made__renews_the_others),
		TEST(undo__after_a_commit__gives_back_the_files_and_reloads),
		TEST(undo__no_haproxy__gives_back_the_files_and_says_so),
		TEST(undo__nothing_was_rendered__says_so),
		TEST(reload__no_gateway_was_started__says_so_and_commits_nothing),
		TEST(reload__haproxy_refuses_what_was_rendered__commits_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
