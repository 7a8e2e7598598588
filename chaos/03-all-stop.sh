#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: master and workers stop, so that nobody answers and nobody is replaced
# promise: requests are refused with agent_unavailable in time, nothing passes unscanned, and all goes on when they go on
# without: haproxy/haproxy.cfg s/tcp-request content set-var(sess.code) str(agent_unavailable).*//
# shellcheck source=lib.sh disable=SC2046,SC2086,SC2154 # process ids are words, lib.sh sets state
. "$(dirname "$0")/lib.sh"

gateway_up
promise "before" served
stop "$(master)" $(workers)
promise "requests are refused with agent_unavailable" always 2 refused_with agent_unavailable
kill -CONT $stopped
promise "it serves again" eventually 10 served
