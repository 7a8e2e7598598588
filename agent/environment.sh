#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prints the agent's environment as shell assignments: the tool chains' settings (toolchain.env), then the placeholders of
# $PLACEHOLDERS, a file that `slapenir env` wrote. Nothing else of that file is let through than NAME=VALUE.
set -eu

lib=${SLAPENIR_LIB:-/usr/local/lib/slapenir}
run=${SLAPENIR_RUN:-/run/slapenir}
bind=${FORWARDER_BIND:-127.0.0.1:3128}
"$lib/trust.sh" "${INTERCEPT_ROOT:-${CA_ROOT:?}}" "$run/trust"

sed -n -e "s|@PROXY@|http://$bind|; s|@PROXY_HOST@|${bind%:*}|g; s|@PROXY_PORT@|${bind##*:}|g" \
	-e "s|@CA@|$run/trust/ca.pem|; s|@JKS@|$run/trust/ca.jks|g; s|@LIB@|$lib|" \
	-e "s/^\([A-Za-z_][A-Za-z0-9_]*\)=\(.*\)$/\1='\2'/p" "$lib/toolchain.env"

if [ -n "${PLACEHOLDERS:-}" ]; then
	[ -r "$PLACEHOLDERS" ] || {
		echo "environment.sh: PLACEHOLDERS=$PLACEHOLDERS cannot be read; make it with: slapenir env POLICY" >&2
		exit 1
	}
	grep -E "^[A-Za-z_][A-Za-z0-9_]*=([A-Za-z0-9_./:@%+=,-]*|'([^']|'\\\\'')*')\$" "$PLACEHOLDERS" || true
fi
