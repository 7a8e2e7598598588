# SPDX-License-Identifier: GPL-2.0-or-later
#
# SLAPENIR: LLM agents without a single real credential.
#
#   make            build/slapenir and build/slapenir_filter.so
#   make run        the gateway in the foreground; without POLICY with a demo: CA, secret and local TLS upstream
#   make up, down   the gateway in the background; up returns when requests are served
#   make secrets    once before `docker compose up`: keys, tokens and an example policy under secrets/
#   make test       every test: unit, SPOP against a real HAProxy, end to end
#   make attack     the attacks that the design answers, tried for real
#   make chaos      faults: killed and silent workers, full disks, broken frames
#   make bench      throughput and latency beside plain HAProxy and others
#   make fuzz       fuzzers of codec, parsers and engine
#   make coverage   lines and branches that the tests reach
#   make lint       compiler warnings, floors, licences, sizes, cppcheck, shellcheck, documentation
#   make check-docs what the documentation says against what the code has
#   make help       this text
#
# Variables of run and up: POLICY (policy file), LISTEN (127.0.0.1:8443), STATE (build/state), WORKERS (2), DNS (ADDRESS:PORT of a
# name server). Of all: BUILD (build), CC, CFLAGS. Missing Debian packages are installed when make runs as root.

MAKEFLAGS += --no-builtin-rules
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j2
endif
BUILD ?= build
# One name for one directory: the files of dependencies name their targets by it.
override BUILD := $(patsubst $(CURDIR)/%,%,$(BUILD))
CC = gcc
CFLAGS ?= -O2 -g
LISTEN ?= 127.0.0.1:8443
STATE ?= build/state
WORKERS ?= 2

WARN = -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wundef -Wformat=2
HARDEN = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIC
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(WARN) $(HARDEN) $(CFLAGS) $(EXTRA_CFLAGS)
SANITIZE = -std=c11 -D_GNU_SOURCE $(WARN) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDLIBS = -lev -lyaml -lseccomp -lssl -lcrypto -lm

SRC = $(filter-out spoa/main.c,$(wildcard spoa/*.c))
OBJ = $(SRC:%.c=$(BUILD)/obj/%.o)
TESTS = $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
UNIT = $(TESTS:%=$(BUILD)/tests/%) $(TESTS:%=$(BUILD)/asan/tests/%)

all: $(BUILD)/slapenir $(BUILD)/slapenir_filter.so

# ------ packages: quiet and quick when they are there ------

DEPS = deps-build deps-test deps-lint deps-bench deps-fuzz deps-coverage
$(DEPS): deps-%:
	@.ci/deps build run $*

# ------ build/slapenir ------

$(BUILD)/obj/%.o: %.c | deps-build
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Ispoa -MMD -MP -c -o $@ $<

$(BUILD)/libspoa.a: $(OBJ)
	rm -f $@ && ar rcs $@ $^

$(BUILD)/slapenir: $(BUILD)/obj/spoa/main.o $(BUILD)/libspoa.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,-z,relro,-z,now -o $@ $^ $(LDLIBS)

# ------ unit tests, plain and with sanitizers ------

$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libspoa.a | deps-test
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Ispoa -MMD -MP -o $@ $< $(BUILD)/libspoa.a -lcmocka $(LDLIBS)

$(BUILD)/asan/obj/%.o: %.c | deps-build
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -Ispoa -MMD -MP -c -o $@ $<

$(BUILD)/asan/libspoa.a: $(SRC:%.c=$(BUILD)/asan/obj/%.o)
	rm -f $@ && ar rcs $@ $^

$(BUILD)/asan/tests/%: tests/unit/%.c $(BUILD)/asan/libspoa.a | deps-test
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -Ispoa -MMD -MP -o $@ $< $(BUILD)/asan/libspoa.a -lcmocka $(LDLIBS)

unit: $(UNIT)
	@/usr/bin/python3 tests/run.py -j2 --build $(BUILD) $(UNIT)

test: all $(UNIT) | deps-test
	@/usr/bin/python3 tests/run.py -j2 --build $(BUILD) --all $(UNIT)

attack: all | deps-test
	@/usr/bin/python3 tests/run.py --build $(BUILD) $(wildcard tests/attack/*.py)

# ------ the gateway ------

run up: export POLICY := $(POLICY)
run up: export LISTEN := $(LISTEN)
run up: export WORKERS := $(WORKERS)
run up: export DNS := $(DNS)
run up: export BUILD := $(BUILD)

run: all
	@exec haproxy/gateway.sh run "$(STATE)"

up: all
	@haproxy/gateway.sh up "$(STATE)"

down:
	@haproxy/gateway.sh down "$(STATE)"

# ------ the compose stack ------

secrets:
	@ca/step/secrets.sh "$(or $(SECRETS),secrets)"

# ------ the rest ------

chaos: all | deps-test
	@BUILD=$(BUILD) chaos/run.sh

bench:
	@$(MAKE) -s -j1 bench-engine bench-path bench-scale # one after another, or they measure each other

fuzz: | deps-fuzz
	@BUILD=$(BUILD) tests/fuzz/run.sh

coverage: | deps-test deps-coverage
	@BUILD=$(BUILD) tests/coverage.sh

lint: | deps-lint
	@CC="$(CC)" CFLAGS="-std=c11 -D_GNU_SOURCE $(WARN)" tests/lint/run.sh

check-docs: $(BUILD)/slapenir
	@BUILD=$(BUILD) tests/lint/docs.sh

help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' Makefile

include haproxy/filter/rules.mk
-include $(wildcard tests/*/rules.mk)
$(HAPROXY_HEADERS)/flags: | deps-build

# What rules.mk says of HAProxy must be read again once HAProxy is installed.
ifeq ($(HAPROXY_VERSION)$(filter down help,$(MAKECMDGOALS)),)
include $(BUILD)/installed.mk
$(BUILD)/installed.mk:
	@mkdir -p $(@D)
	@.ci/deps build run && touch $@
endif
-include $(OBJ:.o=.d) $(BUILD)/obj/spoa/main.d $(SRC:%.c=$(BUILD)/asan/obj/%.d) $(UNIT:=.d)

.PHONY: all unit test attack run up down secrets chaos bench fuzz coverage lint check-docs help
.PHONY: $(DEPS)
.SECONDARY:
