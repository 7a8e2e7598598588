#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Health of the gateway's container: the canary of this very process has been rehydrated and sanitized.
set -eu
printf 'show servers state canary\n' | socat -t 2 "unix-connect:${SLAPENIR_RUN:-/run/slapenir}/stats.sock" - |
	awk '$4 == "canary" { up = ($6 == 2) } END { exit !up }'
