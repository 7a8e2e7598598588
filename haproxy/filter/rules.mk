# SPDX-License-Identifier: GPL-2.0-or-later
#
# The filter: compiled against the headers of exactly the HAProxy that is installed, under that version's name.

HAPROXY ?= haproxy
HAPROXY_VERSION := $(shell $(HAPROXY) -v 2>/dev/null | sed -n '1s/^HA-*Proxy version \([0-9][0-9.]*\(-dev[0-9]*\)\{0,1\}\).*/\1/p')
HAPROXY_NUMBER := $(shell echo $(HAPROXY_VERSION) | sed 's/-dev.*//' | awk -F. '{printf "%d", $$1 * 10000 + $$2 * 100 + $$3}')
HAPROXY_BUILD_ID := $(shell readelf -n "$$(command -v $(HAPROXY))" 2>/dev/null | sed -n 's/^ *Build ID: //p' | head -n 1)
HAPROXY_HEADERS = $(BUILD)/haproxy-headers/$(HAPROXY_VERSION)

FILTER_SRC = $(wildcard haproxy/filter/*.c)
# all that the filter takes of spoa/: pure code that knows no secret
FILTER_SPOA = buf carry exchange json refusal spelling token_formats \
	$(notdir $(basename $(wildcard spoa/shape*.c spoa/prefilter*.c)))
FILTER_OBJ = $(FILTER_SRC:%.c=$(BUILD)/filter/$(HAPROXY_VERSION)/%.o) \
	$(FILTER_SPOA:%=$(BUILD)/filter/$(HAPROXY_VERSION)/spoa/%.o)
# HAProxy's own dialect in its own headers; ours is checked like the rest
FILTER_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARN) -Wno-unused-parameter -Wno-undef $(HARDEN) -fvisibility=hidden \
	-fno-strict-aliasing -fwrapv $(CFLAGS) $(EXTRA_CFLAGS) -iquote haproxy/filter -iquote spoa

$(BUILD)/slapenir_filter.so: $(FILTER_OBJ)
	$(CC) -shared $(CFLAGS) $(EXTRA_CFLAGS) $(LDFLAGS) -Wl,-z,relro,-z,now -o $@.new $^
	mv -f $@.new $@ # never in place: a running HAProxy has it mapped

$(HAPROXY_HEADERS)/flags: haproxy/filter/headers.sh
	haproxy/filter/headers.sh $(HAPROXY_HEADERS) "$(HAPROXY_VERSION)"
	@touch $@

$(BUILD)/filter/$(HAPROXY_VERSION)/haproxy/filter/%.o: haproxy/filter/%.c $(HAPROXY_HEADERS)/flags
	@mkdir -p $(@D)
	$(CC) $(FILTER_CFLAGS) $$(cat $(HAPROXY_HEADERS)/flags) -isystem $(HAPROXY_HEADERS)/include \
		-DSLAPENIR_HAPROXY=$(HAPROXY_NUMBER) -DSLAPENIR_HAPROXY_VERSION='"$(HAPROXY_VERSION)"' \
		-DSLAPENIR_HAPROXY_BUILD_ID='"$(HAPROXY_BUILD_ID)"' -MMD -MP -c -o $@ $<

$(BUILD)/filter/$(HAPROXY_VERSION)/spoa/%.o: spoa/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fvisibility=hidden -iquote spoa -MMD -MP -c -o $@ $<

-include $(FILTER_OBJ:.o=.d)
