# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The little of JOSE that one-time tokens need (RFC 7515, 7517, 7518 section 3.4, 7638), on openssl alone. Sourced, not run.

jose_b64url() {
	openssl base64 -A | tr '+/' '-_' | tr -d '='
}

jose_hex_b64url() { # hex on standard input
	# xxd and perl may be absent in small images, printf with octal escapes is POSIX
	fold -w 2 | while read -r byte || [ -n "$byte" ]; do
		# shellcheck disable=SC2059
		printf "\\$(printf '%03o' "0x$byte")"
	done | jose_b64url
}

# The affine coordinates of a P-256 key in base64url: "X Y".
jose_coordinates() {
	point=$(openssl ec -in "$1" -pubout -outform DER 2>/dev/null | od -An -v -tx1 | tr -d ' \n' | tail -c 128)
	printf '%s %s\n' "$(printf %.64s "$point" | jose_hex_b64url)" "$(printf %s "$point" | tail -c 64 | jose_hex_b64url)"
}

# RFC 7638: the thumbprint is the SHA-256 of the required members in lexical order.
jose_thumbprint() {
	# shellcheck disable=SC2046
	set -- $(jose_coordinates "$1")
	printf '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' "$1" "$2" | openssl dgst -sha256 -binary | jose_b64url
}

jose_public_jwk() {
	kid=$(jose_thumbprint "$1")
	# shellcheck disable=SC2046
	set -- $(jose_coordinates "$1")
	printf '{"use": "sig", "kty": "EC", "kid": "%s", "crv": "P-256", "alg": "ES256", "x": "%s", "y": "%s"}' "$kid" "$1" "$2"
}

# An ECDSA signature in DER is two INTEGERs; JWS wants both as 32 bytes, one behind the other.
jose_sign() { # KEY, text on standard input
	openssl dgst -sha256 -sign "$1" -binary | openssl asn1parse -inform DER |
		sed -n 's/.*INTEGER *:\([0-9A-F]*\)$/\1/p' | while read -r integer; do
		printf '%064s' "$integer" | tr ' ' 0 | tail -c 64
	done | jose_hex_b64url
}
