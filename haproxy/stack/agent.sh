#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The SPOA of the compose stack: a certificate for SPOP from step-ca first, then the agent; a renewed certificate is taken by a reload.
set -eu
umask 077

here=$(dirname "$0")
state=${SLAPENIR_STATE:-/var/lib/slapenir}
policy=${POLICY:-/run/secrets/policy.yaml}
tls=$state/tls
export CA_URL CA_ROOT

mkdir -p "$tls"
if "$here/cert.sh" due "$tls" spoa; then
	# any number of these containers may start, so each makes its own one-time token
	"$here/token.sh" /run/secrets "$CA_URL" spoa >"$tls/token"
	TOKEN_FILE=$tls/token "$here/cert.sh" obtain "$tls" spoa
	rm "$tls/token"
fi
# The agent has our pid then; it reads certificate and policy anew. `slapenir reload` would render for HAProxy as well, which is not ours here.
CERT_HOOK="kill -HUP $$" "$here/cert.sh" watch "$tls" spoa &

# every instance writes the same: one key, one policy
slapenir env "$policy" --agent "${AGENT_NAME:-agent-1}" --state "$state" >"$state/placeholders/.$(hostname)"
chmod 0644 "$state/placeholders/.$(hostname)"
mv "$state/placeholders/.$(hostname)" "$state/placeholders/agent.env"

# The state ends with the container, what was done does not.
ln -sf "/var/log/slapenir/$(hostname).log" "$state/audit.log"

exec slapenir spoa --policy "$policy" --state "$state" --listen "tcp:0.0.0.0:9443" --workers "${WORKERS:-2}" \
	--tls-cert "$tls/spoa.crt" --tls-key "$tls/spoa.key" --tls-ca "$CA_ROOT" --tls-peer haproxy "$@"
