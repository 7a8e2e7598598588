#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: somebody who reaches the agent's socket sends garbage: lengths of 4 GiB, cut frames, random bytes
# promise: each such connection is told so and closed, workers neither end nor grow, and requests are answered
# without: spoa/session.c s/if (len > s->max_frame)/if (false)/
# shellcheck source=lib.sh disable=SC2046,SC2086,SC2154 # process ids are words, lib.sh sets state
. "$(dirname "$0")/lib.sh"

resident() { awk '/^VmRSS/ { print $2 }' $(workers | sed 's|.*|/proc/&/status|') | sort -n | tail -n 1; }

gateway_up
promise "before" served
before=$(workers)
garbage() {
	timeout 60 /usr/bin/python3 - "$state/run/spoa.sock" <<'END'
import os, socket, struct, sys
for i in range(300):
	with socket.socket(socket.AF_UNIX) as s:
		s.settimeout(10)
		s.connect(sys.argv[1])
		try:
			s.sendall((b"\xff\xff\xff\xff" if i % 2 else struct.pack(">I", 1 + i)) + os.urandom(8192))
			while s.recv(4096):
				pass
		except ConnectionError:
			pass
END
}
promise "three hundred connections with garbage are closed within a minute" garbage
promise "no worker ended" test "$(workers)" = "$before"
promise "none holds more than 64 MiB" test "$(resident)" -lt 65536
promise "requests are answered" always 5 served
