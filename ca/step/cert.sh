#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A certificate from step-ca with nothing but curl and openssl: the same script in the sandbox, in the gateway's containers and
# in tests.
#
#   cert.sh obtain DIR NAME [SAN…]   a new key, a one-time token from $TOKEN_FILE, DIR/NAME.crt (with chain) and DIR/NAME.key
#   cert.sh renew DIR NAME           a new key by mutual TLS with the present certificate; nothing is replaced unless all succeeded
#   cert.sh due DIR NAME             exit 0 when two thirds of the lifetime are over, or there is no valid certificate
#   cert.sh watch DIR NAME [SAN…]    obtain if there is none, then renew when due, for ever; runs $CERT_HOOK after each change
#
# Environment: CA_URL (https://ca:9000), CA_ROOT (the root to trust, a file), TOKEN_FILE, CERT_HOOK, CERT_POLL_SECONDS (60).
set -eu
umask 077

die() {
	echo "cert.sh: $*" >&2
	exit 1
}

verb=${1:?usage: cert.sh obtain|renew|due|watch DIR NAME [SAN…]}
dir=${2:?usage: cert.sh obtain|renew|due|watch DIR NAME [SAN…]}
name=${3:?usage: cert.sh obtain|renew|due|watch DIR NAME [SAN…]}
shift 3
url=${CA_URL:-https://ca:9000}
root=${CA_ROOT:?CA_ROOT names the root certificate to trust}
crt=$dir/$name.crt
key=$dir/$name.key

json_string() { # a PEM as a JSON string
	awk 'BEGIN { printf "\"" } { printf "%s\\n", $0 } END { printf "\"" }' "$1"
}

# Answers of /1.0/sign and /1.0/renew carry the leaf in "crt" and the issuer in "ca".
chain_of() {
	for member in crt ca; do
		sed -n 's/.*"'$member'":"\(-----BEGIN CERTIFICATE-----[^"]*\)".*/\1/p' "$1" | awk '{ gsub(/\\n/, "\n"); printf "%s", $0 }'
	done
}

new_key_and_request() { # NAME [SAN…]
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/key"
	sans="DNS:$1"
	shift
	for san in "$@"; do
		case $san in
		*[!0-9.]*) sans="$sans,DNS:$san" ;;
		*) sans="$sans,IP:$san" ;;
		esac
	done
	openssl req -new -key "$work/key" -subj "/CN=$name" -addext "subjectAltName=$sans" -out "$work/csr"
}

# The chain must verify under the root and belong to the key before it replaces anything.
install_chain() {
	chain_of "$work/answer" >"$work/crt"
	openssl verify -CAfile "$root" -untrusted "$work/crt" "$work/crt" >/dev/null 2>&1 ||
		die "the CA's answer holds no certificate that verifies under $root: $(head -c 300 "$work/answer")"
	[ "$(openssl x509 -in "$work/crt" -noout -pubkey)" = "$(openssl ec -in "$work/key" -pubout 2>/dev/null)" ] ||
		die "the certificate that came back is not for our key"
	cat "$work/crt" "$work/key" >"$work/pem"
	chmod 0644 "$work/crt"
	mv "$work/key" "$key"
	mv "$work/crt" "$crt"
	mv "$work/pem" "$dir/$name.pem"
}

obtain() {
	[ -s "${TOKEN_FILE:-}" ] || die "no token: TOKEN_FILE=${TOKEN_FILE:-} is missing or empty; make one with ca/step/token.sh"
	new_key_and_request "$name" "$@"
	printf '{"csr":%s,"ott":"%s"}' "$(json_string "$work/csr")" "$(tr -d '\n' <"$TOKEN_FILE")" >"$work/body"
	curl -sS -m 20 --cacert "$root" -H 'Content-Type: application/json' --data-binary "@$work/body" \
		-o "$work/answer" "$url/1.0/sign" || die "$url does not answer"
	install_chain
}

# step-ca's renew keeps the public key of the presented certificate, rekey takes a new one.
renew() {
	[ -s "$crt" ] || die "$crt does not exist: obtain one first"
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/key"
	openssl req -new -key "$work/key" -subj "/CN=$name" -out "$work/csr"
	printf '{"csr":%s}' "$(json_string "$work/csr")" >"$work/body"
	curl -sS -m 20 --cacert "$root" --cert "$crt" --key "$key" -H 'Content-Type: application/json' \
		--data-binary "@$work/body" -o "$work/answer" "$url/1.0/rekey" || die "$url does not answer"
	install_chain
}

due() {
	[ -s "$crt" ] && [ -s "$key" ] || return 0
	begin=$(date -d "$(openssl x509 -in "$crt" -noout -startdate | cut -d= -f2)" +%s)
	end=$(date -d "$(openssl x509 -in "$crt" -noout -enddate | cut -d= -f2)" +%s)
	[ "$(date +%s)" -ge $((begin + (end - begin) * 2 / 3)) ]
}

attempt() { # one try in a child of its own, so that a failure does not end the watch
	"$0" "$@" && { [ -z "${CERT_HOOK:-}" ] || sh -c "$CERT_HOOK"; }
}

watch() {
	pause=${CERT_POLL_SECONDS:-60}
	sleeper=
	trap '[ -z "$sleeper" ] || kill "$sleeper"; exit 0' TERM INT
	while :; do
		if [ ! -s "$crt" ] || ! openssl x509 -in "$crt" -noout -checkend 0 >/dev/null; then
			attempt obtain "$dir" "$name" "$@" || echo "cert.sh: no certificate for $name yet, trying again in $pause s" >&2
		elif due; then
			attempt renew "$dir" "$name" || echo "cert.sh: renewal of $name failed, trying again in $pause s" >&2
		fi
		sleep "$pause" &
		sleeper=$!
		wait "$sleeper" || :
	done
}

case $verb in
obtain | renew)
	mkdir -p "$dir"
	work=$(mktemp -d "$dir/.cert.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	;;
due | watch) ;;
*) die "unknown verb $verb: obtain, renew, due or watch" ;;
esac
"$verb" "$@"
