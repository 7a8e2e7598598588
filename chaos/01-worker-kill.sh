#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: workers are killed, one after the other, while requests run
# promise: every request is answered, and two workers serve again
# without: spoa/pool.c s/if (c->slots\[slot\].start_at_ms <= now)/if (false)/ ;; s/if (!c->slots\[i\].member .. c->slots\[i\].start_at_ms <= now)/if (false)/
# shellcheck source=lib.sh disable=SC2046,SC2086,SC2154 # process ids are words, lib.sh sets state
. "$(dirname "$0")/lib.sh"

kill_one_and_ask() {
	kill -KILL "$(worker)" && served && served && eventually 3 two_workers
}

gateway_up
promise "requests go on while each worker is killed in turn, and it is replaced" always 10 kill_one_and_ask
kill -KILL $(workers)
promise "both killed at once: the next request is answered" served
promise "... and both are back" eventually 3 two_workers
