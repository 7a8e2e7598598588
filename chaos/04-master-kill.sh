#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: the master is killed: no watchdog, no audit log
# promise: its workers end with it instead of serving unwatched, another master is started, and requests are answered again
# without: spoa/worker.c s/_exit(0); \/\* no master/return -1; \/* no master/ ;; s/if (n == 0 || (errno/if (n > 0 \&\& (errno/ ;; spoa/sandbox.c s/prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || //
# shellcheck source=lib.sh disable=SC2046,SC2086,SC2154 # process ids are words, lib.sh sets state
. "$(dirname "$0")/lib.sh"

all_gone() {
	for pid in $old; do gone "$pid" || return 1; done
}

gateway_up
promise "before" served
old=$(workers)
kill -KILL "$(master)"
promise "the workers end with their master" eventually 4 all_gone
promise "requests are answered again" eventually 10 served
promise "... by two workers" eventually 5 two_workers
promise "the audit log is whole" audit_is_json
