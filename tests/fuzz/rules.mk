# SPDX-License-Identifier: GPL-2.0-or-later
#
# Among the unit tests: each fuzz target over its corpus, without a fuzzer.

FUZZ_REPLAYS = $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/asan/tests/replay_%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT += $(FUZZ_REPLAYS)
unit test: $(FUZZ_REPLAYS)

$(BUILD)/asan/tests/replay_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(BUILD)/asan/libspoa.a | deps-test
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -Ispoa -Itests/unit -o $@ $< tests/fuzz/replay.c $(BUILD)/asan/libspoa.a -lcmocka $(LDLIBS)
