#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh DIR: what `make run` uses when no POLICY is given: a made-up secret, a certificate and a free port for the local upstream, and
# a policy that names both. Prints the policy's path. Run again, it keeps secret and certificate.
set -eu
umask 077
dir=$1
mkdir -p "$dir"
[ -e "$dir/real_tokens" ] || printf 'DEMO_TOKEN=sk-demo-%s\n' "$(openssl rand -hex 24)" > "$dir/real_tokens"
if ! openssl x509 -in "$dir/upstream.crt" -noout -checkend 86400 > /dev/null 2>&1; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj '/CN=demo upstream' \
		-addext subjectAltName=DNS:echo.slapenir.test -keyout "$dir/upstream.key" -out "$dir/upstream.crt" 2> /dev/null
fi
port=$(/usr/bin/python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
printf '%s\n' "$port" > "$dir/port"
cat > "$dir/policy.yaml" <<END
# Written by the demo. The upstream says what it received; through the gateway only the placeholder comes back.
secrets:
  DEMO_TOKEN:
    file: real_tokens
    hosts: [echo.slapenir.test]
    inject: [header, body]
hosts:
  echo.slapenir.test: { connect: "127.0.0.1:$port", ca: upstream.crt }
END
printf '%s\n' "$dir/policy.yaml"
