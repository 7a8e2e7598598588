#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: no worker gets any more memory
# promise: requests are answered rightly or not at all, and when the workers are gone (the kernel kills what is out of memory) new ones serve
# without: spoa/pool.c s/if (c->slots\[slot\].start_at_ms <= now)/if (false)/; s/if (!c->slots\[i\].member .. c->slots\[i\].start_at_ms <= now)/if (false)/
. "$(dirname "$0")/lib.sh"

rightly_or_not_at_all() {
	ask -d "$(head -c 9000 /dev/zero | tr '\0' x)"
	[[ $status != 200 || $body = *'"the_real_secret_arrived": true'* ]]
}

gateway_up
promise "before" served
for pid in $(workers); do prlimit --pid "$pid" --as=1:1; done
promise "requests are answered rightly or not at all" always 5 rightly_or_not_at_all
kill -KILL $(workers)
promise "new workers serve" eventually 5 served
