#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prints a one-time token with which one certificate for NAME (and the further names) can be had from step-ca within five minutes.
#
#   ca/step/token.sh DIR URL NAME [SAN…]
#
# DIR is that of init.sh, URL the CA's (https://ca:9000).
set -eu

dir=${1:?usage: token.sh DIR URL NAME [SAN…]}
url=${2:?usage: token.sh DIR URL NAME [SAN…]}
name=${3:?usage: token.sh DIR URL NAME [SAN…]}
shift 3
# shellcheck source=ca/step/jose.sh
. "$(dirname "$0")/jose.sh"

[ -r "$dir/provisioner.key" ] || {
	echo "$dir/provisioner.key: cannot be read; run ca/step/init.sh first" >&2
	exit 1
}
case $name in
*[!A-Za-z0-9._-]* | "")
	echo "NAME may hold letters, digits, dot, underscore and hyphen only" >&2
	exit 1
	;;
esac
sans="\"$name\""
for san in "$@"; do
	sans="$sans,\"$san\""
done
now=$(date +%s)
root=$(openssl x509 -in "$dir/root.crt" -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1)
header=$(printf '{"alg":"ES256","kid":"%s","typ":"JWT"}' "$(jose_thumbprint "$dir/provisioner.key")" | jose_b64url)
claims=$(printf '{"aud":"%s/1.0/sign","exp":%d,"iat":%d,"nbf":%d,"iss":"slapenir","jti":"%s","sans":[%s],"sha":"%s","sub":"%s"}' \
	"$url" $((now + ${TOKEN_SECONDS:-300})) "$now" "$((now - 30))" "$(openssl rand -hex 32)" "$sans" "$root" "$name" | jose_b64url)
printf '%s.%s.%s\n' "$header" "$claims" "$(printf '%s.%s' "$header" "$claims" | jose_sign "$dir/provisioner.key")"
