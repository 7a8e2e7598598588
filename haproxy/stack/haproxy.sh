#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# HAProxy of the compose stack, unprivileged. Its certificate (for the door and for SPOP alike) comes from step-ca and is renewed through the
# runtime API, so that no stream is dropped.
set -eu
umask 077

home=/usr/share/slapenir
rendered=${SLAPENIR_RENDERED:-/var/lib/slapenir/haproxy}
run=${SLAPENIR_RUN:-/run/slapenir}
export CA_URL CA_ROOT TOKEN_FILE

mkdir -p "$run/tls"
"$home/stack/cert.sh" due "$run/tls" haproxy && "$home/stack/cert.sh" obtain "$run/tls" haproxy ${GATEWAY_NAMES:-localhost}
CERT_HOOK="$home/stack/push.sh $run/stats.sock $run/tls/haproxy.pem" "$home/stack/cert.sh" watch "$run/tls" haproxy &

# what a rendering moves into place last
until [ -s "$rendered/hosts.cfg" ]; do
	sleep 0.2
done
set -a
. "$rendered/paths.env"
set +a
export SLAPENIR_HOME="$home"
export SLAPENIR_RUN="$run"
export SLAPENIR_DIAL="$run"
export SLAPENIR_RENDERED="$rendered"
export SLAPENIR_MODULE="/usr/lib/slapenir/slapenir_filter.so"
export SLAPENIR_LISTEN="${SLAPENIR_LISTEN:-0.0.0.0:443}"
export SLAPENIR_LOG=stdout # what HAProxy refuses alone; the audit logs of the agents have the rest
export SLAPENIR_PROXY_CERT="$run/tls/haproxy.pem"
export SLAPENIR_SPOP_CERT="$run/tls/haproxy.pem"
export SLAPENIR_STACK_CA="$CA_ROOT"
export SLAPENIR_AGENT_CA="$CA_ROOT"
export SLAPENIR_AGENT_CRL="${SLAPENIR_AGENT_CRL:-/etc/slapenir/crl.pem}"
export SLAPENIR_AGENT_REVOKED="${SLAPENIR_AGENT_REVOKED:-/etc/slapenir/revoked.lst}"
# What is rendered anew, daily and after a change of policy, is taken by a hitless reload of this very process.
seen=$(stat -c '%i %Z' "$rendered/hosts.cfg")
while sleep "${RENDERED_POLL_SECONDS:-30}"; do
	if now=$(stat -c '%i %Z' "$rendered/hosts.cfg") && [ "$now" != "$seen" ]; then
		seen=$now
		kill -USR2 $$
	fi
done &
exec haproxy -W -db -f "$home/haproxy/haproxy.cfg" -f "$home/haproxy/spoa-stack.cfg" -f "$rendered/hosts.cfg" "$@"
