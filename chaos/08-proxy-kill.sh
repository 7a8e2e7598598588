#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: HAProxy's process is killed in the middle of requests
# promise: it is started again and serves; the agent goes on and keeps its audit log
# without: haproxy/gateway.sh s/		if ! alive "$proxy"; then/		if false; then/
# shellcheck source=lib.sh disable=SC2046,SC2086,SC2154 # process ids are words, lib.sh sets state
. "$(dirname "$0")/lib.sh"

gateway_up
promise "before" served
before=$(workers)
for pid in $(pgrep -P "$(cat "$state/haproxy.pid")"); do kill -KILL "$pid"; done
promise "it serves again" eventually 15 served
promise "no worker of the agent ended" test "$(workers)" = "$before"
promise "the audit log is whole" audit_is_json
