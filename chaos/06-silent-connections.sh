#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: somebody holds connections to the agent that say nothing, as many as the workers may have descriptors
# promise: they are closed after 5 s, no worker ends, and requests are answered
# without: spoa/conn.c s/if (c->deadline_ms && now_ms >= c->deadline_ms)/if (false)/
. "$(dirname "$0")/lib.sh"

export LIMIT=20
ulimit -n 400 # of which a worker gives 336 to connections
gateway_up
before=$(workers)
/usr/bin/python3 - "$state/run/spoa.sock" <<'END' &
import socket, sys, time
held = []
for _ in range(800):
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	held.append(s)
time.sleep(60)
END
holder=$!
sleep 1
promise "requests are answered while 800 connections say nothing" eventually 30 served
promise "... and then at once" always 5 served
kill "$holder"
promise "no worker ended" test "$(workers)" = "$before"
