#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: somebody holds connections to the agent that say nothing, more than its workers may have, and HAProxy has to connect anew
# promise: they are closed after 5 s, and requests are answered
# without: spoa/conn.c s/if (c->deadline_ms && now_ms >= c->deadline_ms)/if (false)/
# shellcheck source=lib.sh disable=SC2046,SC2086,SC2154 # process ids are words, lib.sh sets state
. "$(dirname "$0")/lib.sh"

ulimit -n 400 # of which a worker gives 336 to connections
gateway_up
promise "before" served
for _ in 1 2 3 4 5 6; do # each has the limit, too
	/usr/bin/python3 - "$state/run/spoa.sock" <<'END' &
import socket, sys, time
held = []
for _ in range(300):
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	held.append(s)
time.sleep(120)
END
	holders="${holders:-} $!"
done
sleep 1
# new workers take what waits in the queue, which is all of the others', before HAProxy's
kill -KILL $(workers)
promise "requests are answered while 1,800 connections say nothing" eventually 60 served
promise "... and then at once" always 5 served
kill $holders
