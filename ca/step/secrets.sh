#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Once before the first `docker compose up`: everything of the stack that must never be in an image or in the repository. Run
# again, it makes only what is missing.
#
#   ca/step/secrets.sh [DIR]     default: secrets
set -eu
umask 077

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-secrets}
mkdir -p "$dir/tokens"

[ -s "$dir/ca_password" ] || openssl rand -base64 33 >"$dir/ca_password"
[ -s "$dir/placeholder.key" ] || openssl rand -out "$dir/placeholder.key" 32
if [ ! -e "$dir/real_tokens" ]; then
	printf '# NAME=VALUE lines; policy.yaml says where each is used. For example:\n# OPENAI_API_KEY=sk-...\n' >"$dir/real_tokens"
fi
if [ ! -e "$dir/policy.yaml" ]; then
	cat >"$dir/policy.yaml" <<'YAML'
# What the agent may reach, and where each secret is put in. The reference: docs/policy.md
secrets: {}
#  OPENAI_API_KEY:
#    file: real_tokens
#    hosts: [api.openai.com]
hosts:
  docs.python.org: {}
agents:
  agent-1: { secrets: all }
YAML
fi
STEP_KEY=/run/secrets/intermediate_key "$here/init.sh" "$dir/ca" "$dir/ca_password" ca localhost

# The interception CA: below the same root, so that the sandbox trusts one root only; for servers only, so that it can never
# sign a client certificate.
if [ ! -e "$dir/ca/intercept.crt" ]; then
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -keyout "$dir/ca/intercept.key" \
		-out "$dir/ca/intercept.csr" -subj "/O=SLAPENIR/CN=SLAPENIR stack interception" 2>/dev/null
	printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nextendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' \
		>"$dir/ca/intercept.ext"
	openssl x509 -req -in "$dir/ca/intercept.csr" -CA "$dir/ca/root.crt" -CAkey "$dir/ca/root.key" -set_serial "0x$(openssl rand -hex 16)" \
		-days 365 -sha256 -extfile "$dir/ca/intercept.ext" -out "$dir/ca/intercept.crt" 2>/dev/null
	rm "$dir/ca/intercept.csr" "$dir/ca/intercept.ext"
	chmod 0644 "$dir/ca/intercept.crt"
fi

# HAProxy wants a CRL of each CA in a client's chain. Certificates live a day; who must go at once goes into revoked.lst.
if [ ! -e "$dir/ca/crl.pem" ]; then
	: >"$dir/ca/index"
	echo 01 >"$dir/ca/crlnumber"
	for ca in root intermediate; do
		printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\ndefault_crl_days=3650\n' \
			"$dir/ca/index" "$dir/ca/crlnumber" >"$dir/ca/crl.cnf"
		openssl ca -config "$dir/ca/crl.cnf" -gencrl -cert "$dir/ca/$ca.crt" -keyfile "$dir/ca/$ca.key" -passin "file:$dir/ca_password" 2>/dev/null
	done >"$dir/ca/crl.pem"
	rm "$dir/ca/index" "$dir/ca/crlnumber"* "$dir/ca/crl.cnf"
	: >"$dir/ca/revoked.lst"
	chmod 0644 "$dir/ca/crl.pem" "$dir/ca/revoked.lst"
fi

# The agents' containers, which may be scaled, make their own tokens: they hold the provisioner's key.
export TOKEN_SECONDS="${TOKEN_SECONDS:-86400}"
# A token that lies about unused is a key that lies about: none is made that was not asked for by taking the old one away.
[ -e "$dir/tokens/agent" ] || "$here/token.sh" "$dir/ca" https://ca:9000 "${AGENT_NAME:-agent-1}" >"$dir/tokens/agent"
# shellcheck disable=SC2086 # a list of names
[ -e "$dir/tokens/haproxy" ] || "$here/token.sh" "$dir/ca" https://ca:9000 haproxy ${GATEWAY_NAMES:-localhost} >"$dir/tokens/haproxy"
# Containers read these as other users; the directory itself is closed to everybody else on this machine.
chmod 0644 "$dir/tokens/agent" "$dir/tokens/haproxy"
chmod 0700 "$dir"
echo "$dir is ready. Put your secrets into $dir/real_tokens and the rules into $dir/policy.yaml, then: docker compose up"
