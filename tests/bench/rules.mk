# SPDX-License-Identifier: GPL-2.0-or-later
# make bench-engine: the engine beside Hyperscan; table on the terminal, JSON and SVG under $(BUILD)/bench/.

$(BUILD)/tests/bench/engine: tests/bench/engine/engine.c $(BUILD)/libspoa.a | deps-bench
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Ispoa -o $@ $< $(BUILD)/libspoa.a -lhs $(LDLIBS)

$(BUILD)/tests/bench/hostile: tests/bench/engine/hostile.c $(BUILD)/libspoa.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Ispoa -o $@ $< $(BUILD)/libspoa.a $(LDLIBS)

bench-engine: $(BUILD)/tests/bench/engine $(BUILD)/tests/bench/hostile
	@BUILD=$(BUILD) /usr/bin/python3 tests/bench/engine/engine.py
	@$(BUILD)/tests/bench/hostile

# make bench-path: the whole path beside plain HAProxy, nginx and mitmproxy. make bench-scale: how its cost grows.

$(BUILD)/tests/bench/load $(BUILD)/tests/bench/upstream: $(BUILD)/tests/bench/%: tests/bench/path/%.c | deps-bench
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $< -lssl -lcrypto -lpthread

bench-path: all $(BUILD)/tests/bench/load $(BUILD)/tests/bench/upstream | deps-bench deps-test
	@.ci/deps peers || echo 'bench: goes on without nginx or mitmproxy' >&2
	@BUILD=$(BUILD) SLAPENIR_BUILD=$(BUILD) /usr/bin/python3 tests/bench/path/path.py $(BENCH_FLAGS)

bench-scale: all $(BUILD)/tests/bench/load $(BUILD)/tests/bench/upstream | deps-bench deps-test
	@BUILD=$(BUILD) SLAPENIR_BUILD=$(BUILD) /usr/bin/python3 tests/bench/path/scale.py $(BENCH_FLAGS)

.PHONY: bench-engine bench-path bench-scale
