#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: HAProxy's process is killed in the middle of requests
# promise: it is started again and serves; the agent goes on and keeps its audit log
# without: haproxy/gateway.sh s/alive "$proxy" || /true || /
. "$(dirname "$0")/lib.sh"

gateway_up
promise "before" served
before=$(workers)
for pid in $(pgrep -P "$(cat "$state/haproxy.pid")"); do kill -KILL "$pid"; done
promise "it serves again" eventually 15 served
promise "no worker of the agent ended" test "$(workers)" = "$before"
promise "the audit log is whole" audit_is_json
