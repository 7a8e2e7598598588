#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: reloads of a broken policy, and SIGHUPs, under load
# promise: each says why, and every request is answered by the old generation and by the old workers
# without: spoa/master.c s/return "the policy is refused";/abort();/
# shellcheck source=lib.sh disable=SC2046,SC2086,SC2154 # process ids are words, lib.sh sets state
. "$(dirname "$0")/lib.sh"

gateway_up
promise "before" served
policy=$BUILD/demo/$(basename "$state")/policy.yaml
cp "$policy" "$policy.good"
before=$(workers)
echo "nonsense: true" >> "$policy"
reload_is_refused() {
	! "$slapenir" reload --state "$state" > /dev/null 2> "$state/said" && grep -q 'policy.yaml:[0-9]*: ' "$state/said"
}
promise "a broken policy is refused, with the line" reload_is_refused
hang_up_and_ask() { kill -HUP "$(master)" && served; }
promise "requests go on" always 5 hang_up_and_ask
promise "the workers are the same" test "$(workers)" = "$before"
mv "$policy.good" "$policy"
promise "the good one is taken" "$slapenir" reload --state "$state"
promise "it serves" served
