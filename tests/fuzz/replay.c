/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A fuzz target without a fuzzer: its corpus, and as many changed copies of it in an order that is always the same, under gcc's
 * sanitizers. What was tried last is printed when it breaks. Linked with each fuzz_NAME.c to
 * replay_NAME, which reads tests/fuzz/corpus/NAME.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEEDS_MAX = 64, INPUT_MAX = 2048, COPIES = 4000 /* of the whole corpus */ };

static struct input {
	size_t len;
	uint8_t bytes[INPUT_MAX];
} seed[SEEDS_MAX], now;
static unsigned seeds;
static char corpus[PATH_MAX];

static void show_input(void)
{
	fprintf(stderr, "the input was, in hex: ");
	for (size_t i = 0; i < now.len; i++)
		fprintf(stderr, "%02x", now.bytes[i]);
	fputc('\n', stderr);
}

static void aborted(int sig)
{
	show_input();
	signal(sig, SIG_DFL);
	raise(sig);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_seed(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int read_corpus(void **state)
{
	struct dirent **entry;
	int count = scandir(corpus, &entry, is_seed, by_name);

	(void)state;
	assert_in_range(count, 1, SEEDS_MAX);
	for (int i = 0; i < count; i++) {
		char path[PATH_MAX + NAME_MAX + 2];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", corpus, entry[i]->d_name);
		f = fopen(path, "re");
		assert_non_null(f);
		seed[i].len = fread(seed[i].bytes, 1, INPUT_MAX, f);
		assert_false(ferror(f));
		fclose(f);
		free(entry[i]);
	}
	free(entry);
	seeds = (unsigned)count;
	__sanitizer_set_death_callback(show_input);
	signal(SIGABRT, aborted);
	return 0;
}

/* The input lies in memory of exactly its size, so that reading behind its end is seen. */
static void try_input(void)
{
	uint8_t *exact = malloc(now.len ? now.len : 1);

	assert_non_null(exact);
	memcpy(exact, now.bytes, now.len);
	LLVMFuzzerTestOneInput(exact, now.len);
	free(exact);
}

static void insert(size_t at, const uint8_t *bytes, size_t len)
{
	if (len > INPUT_MAX - now.len)
		return;
	memmove(now.bytes + at + len, now.bytes + at, now.len - at);
	memcpy(now.bytes + at, bytes, len);
	now.len += len;
}

static void change(void)
{
	static const uint8_t odd[] = {0, 1, 9, 10, 13, 32, 34, 37, 38, 61, 92, 127, 128, 239, 240, 255};
	const struct input *other = &seed[below(seeds)];
	unsigned at = below((unsigned)now.len + 1), len = 1 + below(16), from = below((unsigned)other->len + 1);
	uint8_t one = below(2) ? odd[below(sizeof(odd))] : (uint8_t)below(256);

	switch (below(6)) {
	case 0:
		if (at < now.len)
			now.bytes[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		if (at < now.len)
			now.bytes[at] = one;
		break;
	case 2:
		insert(at, &one, 1);
		break;
	case 3:
		insert(at, other->bytes + from, other->len - from);
		break;
	case 4: /* some bytes less */
		if (len > now.len - at)
			len = (unsigned)now.len - at;
		memmove(now.bytes + at, now.bytes + at + len, now.len - at - len);
		now.len -= len;
		break;
	case 5:
		now.len = at;
		break;
	}
}

static void corpus__as_it_is__is_survived(void **state)
{
	(void)state;
	for (unsigned i = 0; i < seeds; i++) {
		now = seed[i];
		try_input();
	}
}

static void corpus__changed_at_random_places__is_survived(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COPIES; i++) {
		now = seed[i % seeds];
		for (unsigned changes = 1 + below(8); changes; changes--)
			change();
		try_input();
	}
}

int main(int argc, char **argv)
{
	const char *name = strstr(argv[argc - 1], "replay_");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corpus__as_it_is__is_survived),
		cmocka_unit_test(corpus__changed_at_random_places__is_survived),
	};

	snprintf(corpus, sizeof(corpus), "tests/fuzz/corpus/%s", name ? name + strlen("replay_") : "");
	return cmocka_run_group_tests(tests, read_corpus, NULL);
}
