/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "config.h"
#include "config_check.h"
#include "log.h"
#include "secret.h"
#include "token_edit.h"
#include "tokens.h"
#include "verb_policy.h"
#include "verbs.h"

enum { VALUE_BYTES_MAX = 64 << 10 };

static const char usage[] = "usage: slapenir secret set NAME | rm NAME | ls  [--policy FILE] [--file TOKENS] [--state DIR]\n"
                            "the value comes from a prompt or from standard input, never from the command line\n";

/* --- the value --- */

static int read_value(int fd, struct buf *value, bool one_line)
{
	ssize_t n;

	value->limit = VALUE_BYTES_MAX;
	do {
		if (buf_reserve(value, 4096) < 0) {
			log_error("the value is longer than 64 KiB");
			return -1;
		}
		n = read(fd, value->p + value->len, value->cap - value->len);
		if (n > 0)
			value->len += (size_t)n;
	} while (n > 0 && !(one_line && value->p[value->len - 1] == '\n'));
	if (value->len && value->p[value->len - 1] == '\n')
		value->len--;
	if (value->len && value->p[value->len - 1] == '\r')
		value->len--;
	if (n < 0 || value->len == 0) {
		log_error("no value was given");
		return -1;
	}
	return 0;
}

static struct termios terminal; /* as it was before the prompt */

static void give_terminal_back(int number)
{
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal);
	raise(number); /* the handler was for one time */
}

static int prompt(const char *name, struct buf *value)
{
	const struct sigaction back = {.sa_handler = give_terminal_back, .sa_flags = (int)SA_RESETHAND};
	struct termios quiet;
	int rc;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal) < 0)
		return read_value(STDIN_FILENO, value, false);
	quiet = terminal;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	sigaction(SIGINT, &back, NULL);
	sigaction(SIGTERM, &back, NULL);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet); /* before anybody can begin to type */
	fprintf(stderr, "value of %s (it is not shown): ", name);
	rc = read_value(STDIN_FILENO, value, true);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal);
	fputc('\n', stderr);
	return rc;
}

/* --- which file --- */

static int join(char *out, size_t size, const char *policy, const char *name)
{
	const char *slash = strrchr(policy, '/');
	int dir = slash && name[0] != '/' ? (int)(slash - policy) + 1 : 0;

	return snprintf(out, size, "%.*s%s", dir, policy, name) < (int)size ? 0 : -1;
}

/* Where the policy reads NAME from; for a name that it lacks its only token file. */
static int find_file(const struct config *c, const char *policy, const char *name, char *out, size_t size)
{
	const char *only = NULL;
	bool several = false;

	for (size_t i = 0; i < c->secret_count; i++) {
		const struct config_secret *s = &c->secret[i];

		if (strcmp(s->name.text, name) == 0) {
			if (s->file.text)
				return join(out, size, policy, s->file.text);
			log_error("%s:%u: %s comes from the environment variable %s, which is set where the gateway is started", policy, s->env.line, name,
			          s->env.text);
			return -1;
		}
		if (s->file.text && !tokens_is_whole(s->file.text)) {
			several = several || (only && strcmp(only, s->file.text) != 0);
			only = s->file.text;
		}
	}
	if (only && !several) {
		log_warn("%s: %s is not among its secrets yet: add it there", policy, name);
		return join(out, size, policy, only);
	}
	log_error("%s: %s is not among its secrets: add it there first, or give --file TOKENS", policy, name);
	return -1;
}

/* --- the verbs --- */

static int list(const struct config *c, const char *policy)
{
	struct secret_arena *arena = secret_arena_new(64 << 20);
	struct tokens *tokens = arena ? tokens_new(arena) : NULL;
	struct report r = {0};
	const char *why;
	char path[PATH_MAX];
	struct span value;

	for (size_t i = 0; tokens && i < c->secret_count; i++) {
		const struct config_secret *s = &c->secret[i];

		if (s->env.text)
			printf("%-32s environment variable %s\n", s->name.text, s->env.text);
		else if (join(path, sizeof(path), policy, s->file.text) == 0)
			printf("%-32s %s: %s\n", s->name.text, path, tokens_find(tokens, path, s->name.text, &value, &why, &r) ? value.len ? "set" : "empty" : "missing");
	}
	report_print(&r, stderr);
	report_deinit(&r);
	tokens_free(tokens);
	secret_arena_free(arena);
	return tokens && r.errors == 0 ? 0 : 1;
}

static int set(const char *path, const char *name)
{
	struct buf value = {0};
	int rc = prompt(name, &value);

	if (rc == 0)
		rc = token_edit(path, name, buf_span(&value)) > 0 ? 0 : -1;
	buf_deinit(&value);
	if (rc == 0)
		printf("%s: set in %s; `slapenir reload` makes a running gateway use it\n", name, path);
	return rc == 0 ? 0 : 1;
}

static int take_out(const char *path, const char *name)
{
	int rc = token_edit(path, name, (struct span){0});

	if (rc == 0)
		log_error("%s has no %s", path, name);
	else if (rc > 0)
		printf("%s: taken out of %s; `slapenir reload` makes a running gateway forget it after `grace:`\n", name, path);
	return rc > 0 ? 0 : 1;
}

static int with_policy(const char *policy, const char *file, const char *what, const char *name)
{
	struct report r = {0};
	struct config c = {0};
	char path[PATH_MAX];
	int rc = 1;

	if (!file && config_load(&c, policy, &r) < 0)
		goto out;
	if (strcmp(what, "ls") == 0) {
		rc = list(&c, policy);
		goto out;
	}
	if (file ? snprintf(path, sizeof(path), "%s", file) >= (int)sizeof(path) : find_file(&c, policy, name, path, sizeof(path)) < 0)
		goto out;
	rc = strcmp(what, "set") == 0 ? set(path, name) : take_out(path, name);
out:
	report_print(&r, stderr);
	report_deinit(&r);
	config_free(&c);
	return rc;
}

int verb_secret(int argc, char **argv)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'}, {"file", required_argument, NULL, 'f'}, {"state", required_argument, NULL, 's'}, {0}};
	const char *policy = NULL, *file = NULL, *state = NULL, *what, *name, *why;
	char room[PATH_MAX];
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return 2;
		*(opt == 'p' ? &policy : opt == 'f' ? &file : &state) = optarg;
	}
	what = optind < argc ? argv[optind] : "";
	name = optind + 1 < argc ? argv[optind + 1] : NULL;
	if (strcmp(what, "ls") == 0 ? name != NULL || file : (strcmp(what, "set") != 0 && strcmp(what, "rm") != 0) || !name || optind + 2 != argc) {
		fputs(usage, stderr);
		return 2;
	}
	why = name ? config_check_secret_name(name) : NULL;
	if (why) {
		log_error("%s: %s", name, why);
		return 2;
	}
	if (secret_process_harden() < 0) {
		log_error("this process cannot be closed to debuggers and core dumps");
		return 1;
	}
	return with_policy(verb_find_policy(policy, state, room, sizeof(room)), file, what, name);
}
