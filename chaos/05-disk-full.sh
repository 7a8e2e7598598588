#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: the disk that the audit log is on fills up
# promise: requests are refused with audit_unavailable (audit: required), none is answered unaudited, and all goes on when there is room
# without: spoa/worker.c s/if (w->audit_required && !w->audit_writable)/if (false)/
# shellcheck source=lib.sh disable=SC2046,SC2086,SC2154 # process ids are words, lib.sh sets state
. "$(dirname "$0")/lib.sh"

lines_of() { grep -c '"what":"rehydrated"' "$state/audit.log" || true; }
all_audited() { [ "$(lines_of)" -eq "$answered" ]; }

export STATE_MOUNT=size=3m
gateway_up
answered=0
promise "before" served
answered=1
promise "... and audited" eventually 5 all_audited
dd if=/dev/zero of="$state/filler" bs=4k 2> /dev/null || true
# what was reserved ahead (128 KiB) is used up first, the sooner the longer the lines; every request that is answered has its own
long=/$(printf 'x%.0s' {1..1000})
refused_after_a_while() {
	for ((i = 0; i < 300; i++)); do
		ask --request-target "$long"
		[ "$status" = 200 ] || break
		answered=$((answered + 1))
	done
	[[ ${body,,} = *'x-slapenir-code: audit_unavailable'* ]]
}
promise "requests are refused with audit_unavailable" refused_after_a_while
promise "each of the $answered that were answered has a line" eventually 5 all_audited
promise "the log is whole" audit_is_json
rm "$state/filler"
promise "there is room: it serves again" eventually 10 served
