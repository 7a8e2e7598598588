#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes what step-ca needs to serve the stack: a root, an intermediate whose key is encrypted with a password from a file, a JWK
# provisioner for one-time tokens, and ca.json. Runs once, on the operator's machine; a second run changes nothing.
#
#   ca/step/init.sh DIR PASSWORD_FILE [DNS_NAME…]
#
# DIR/root.key is not needed by the running CA: keep it offline. DIR/provisioner.key signs the one-time tokens (token.sh).
set -eu

dir=${1:?usage: init.sh DIR PASSWORD_FILE [DNS_NAME…]}
password=${2:?usage: init.sh DIR PASSWORD_FILE [DNS_NAME…]}
shift 2
[ $# -gt 0 ] || set -- ca localhost

if [ -e "$dir/ca.json" ]; then
	echo "$dir/ca.json exists: the CA was initialised before, nothing is changed"
	exit 0
fi
[ -s "$password" ] || {
	echo "$password: the password file is missing or empty; write one line of at least 20 random characters into it" >&2
	exit 1
}
umask 077
mkdir -p "$dir"
# shellcheck source=ca/step/jose.sh
. "$(dirname "$0")/jose.sh"

# The root may sign one level of CA below it, the intermediate none.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 3650 \
	-keyout "$dir/root.key" -out "$dir/root.crt" -subj "/O=SLAPENIR/CN=SLAPENIR stack root" \
	-addext "basicConstraints=critical,CA:TRUE,pathlen:1" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null

openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha256 -passout "file:$password" \
	-keyout "$dir/intermediate.key" -out "$dir/intermediate.csr" -subj "/O=SLAPENIR/CN=SLAPENIR stack intermediate" 2>/dev/null
printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' \
	>"$dir/intermediate.ext"
openssl x509 -req -in "$dir/intermediate.csr" -CA "$dir/root.crt" -CAkey "$dir/root.key" -set_serial "0x$(openssl rand -hex 16)" \
	-days 1825 -sha256 -extfile "$dir/intermediate.ext" -out "$dir/intermediate.crt" 2>/dev/null
rm "$dir/intermediate.csr" "$dir/intermediate.ext"
# certificates are public, keys stay 0600
chmod 0711 "$dir"
chmod 0644 "$dir/root.crt" "$dir/intermediate.crt"

openssl ecparam -name prime256v1 -genkey -noout -out "$dir/provisioner.key"

names=
for name in "$@"; do
	names="$names${names:+, }\"$name\""
done
home=${STEP_HOME:-/home/step}
# The first tokens are made before the CA first starts; what makes them one-time is its database.
cat >"$dir/ca.json.new" <<JSON
{
  "root": "$home/root.crt",
  "crt": "$home/intermediate.crt",
  "key": "${STEP_KEY:-$home/intermediate.key}",
  "address": "${STEP_LISTEN:-:9000}",
  "dnsNames": [$names],
  "logger": {"format": "text"},
  "db": {"type": "badgerv2", "dataSource": "${STEP_DB:-$home/db}"},
  "authority": {
    "disableIssuedAtCheck": true,
    "provisioners": [
      {
        "type": "JWK",
        "name": "slapenir",
        "key": $(jose_public_jwk "$dir/provisioner.key"),
        "claims": {"minTLSCertDuration": "${STEP_MIN_DURATION:-5m}", "defaultTLSCertDuration": "24h", "maxTLSCertDuration": "24h"}
      }
    ]
  },
  "tls": {"minVersion": 1.2, "maxVersion": 1.3}
}
JSON
mv "$dir/ca.json.new" "$dir/ca.json"
echo "initialised $dir for $*"
