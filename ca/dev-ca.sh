#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The development CA: what `make run` and `make up` use when no other CA is configured.
#
#   dev-ca.sh init STATE ADDRESS      root, proxy certificate for ADDRESS, 127.0.0.1 and localhost, interception CA, agent-1
#   dev-ca.sh agent STATE CN [DAYS]   another client certificate: STATE/ca/agents/CN.crt and CN.key
#   dev-ca.sh revoke STATE CN         take it back: new CRL and list of revoked serials
#
# Running init again changes nothing that is still good for a week (agent) or a month (proxy), and makes the rest anew.
# Private keys are 0600 and lie in STATE/ca (0700); only agent-1's key is outside of it, as the sandbox needs it.
set -eu
umask 077

die() {
	echo "dev-ca: $*" >&2
	exit 1
}

[ $# -ge 2 ] || die "usage: dev-ca.sh init STATE ADDRESS | agent STATE CN [DAYS] | revoke STATE CN"
verb=$1
state=$2
ca=$state/ca
week=604800

new_key() {
	openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.tmp" 2>/dev/null ||
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.tmp" 2>/dev/null ||
		die "openssl cannot make a key at $1"
	mv "$1.tmp" "$1"
}

# A serial of 159 random bits. RFC 5280: positive, at most 20 bytes.
new_serial() {
	printf '0x%x%s' "$((0x$(openssl rand -hex 1) & 0x7f))" "$(openssl rand -hex 19)"
}

# issue CRT KEY SUBJECT DAYS EXTENSIONS: signed by the root; without a root yet, by itself
issue() {
	printf '[ext]\n%s\n' "$5" > "$ca/ext.tmp"
	openssl req -new -key "$2" -subj "$3" -out "$ca/csr.tmp" 2>/dev/null || die "openssl cannot make a request for $3"
	if [ -e "$ca/root.crt" ]; then
		set -- "$1" "$2" "$3" "$4" -CA "$ca/root.crt" -CAkey "$ca/root.key"
	else
		set -- "$1" "$2" "$3" "$4" -signkey "$2"
	fi
	crt=$1
	subject=$3
	days=$4
	shift 4
	openssl x509 -req -in "$ca/csr.tmp" -sha256 -days "$days" -set_serial "$(new_serial)" \
		-extfile "$ca/ext.tmp" -extensions ext "$@" -out "$crt.tmp" 2>/dev/null || die "openssl cannot sign $subject"
	rm -f "$ca/csr.tmp" "$ca/ext.tmp"
	mv "$crt.tmp" "$crt"
}

good_for() { # CRT SECONDS
	[ -e "$1" ] && openssl x509 -in "$1" -noout -checkend "$2" >/dev/null 2>&1 &&
		openssl verify -CAfile "$ca/root.crt" "$1" >/dev/null 2>&1
}

make_crl() {
	cat > "$ca/crl.cnf" <<-END
	[ca]
	default_ca = dev
	[dev]
	database = $ca/index.txt
	crlnumber = $ca/crlnumber
	certificate = $ca/root.crt
	private_key = $ca/root.key
	default_md = sha256
	default_crl_days = 3650
	END
	[ -e "$ca/index.txt" ] || : > "$ca/index.txt"
	[ -e "$ca/crlnumber" ] || echo 01 > "$ca/crlnumber"
	openssl ca -config "$ca/crl.cnf" -gencrl -out "$ca/crl.pem.tmp" 2>/dev/null || die "openssl cannot make a CRL"
	# A CRL stops handshakes; this map of serials, in hex, stops requests inside tunnels that are open already.
	awk -F '\t' '$1 == "R" { print $4 " cert_revoked" }' "$ca/index.txt" > "$ca/revoked.map.tmp"
	mv "$ca/crl.pem.tmp" "$ca/crl.pem"
	mv "$ca/revoked.map.tmp" "$ca/revoked.map"
}

valid_cn() {
	case $1 in
	'' | *[!A-Za-z0-9._-]*) die "CN '$1': use 1 to 64 of A-Z a-z 0-9 . _ -" ;;
	esac
	[ ${#1} -le 64 ] || die "CN '$1' is longer than 64"
}

make_agent() { # CN DAYS
	valid_cn "$1"
	mkdir -p "$ca/agents"
	new_key "$ca/agents/$1.key"
	issue "$ca/agents/$1.crt" "$ca/agents/$1.key" "/CN=$1" "$2" \
		'basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'
}

san_of() { # ADDRESS, without its port
	case $1 in
	'' | '*' | 0.0.0.0 | '[::]' | localhost | 127.0.0.1) ;;
	\[*\]) a=${1#[} && printf 'IP:%s,' "${a%]}" ;;
	*[!0-9.]*) printf 'DNS:%s,' "$1" ;;
	*) printf 'IP:%s,' "$1" ;;
	esac
	printf 'IP:127.0.0.1,DNS:localhost'
}

init() {
	mkdir -p "$ca"
	chmod 700 "$ca"
	if [ ! -e "$ca/root.crt" ]; then
		new_key "$ca/root.key"
		issue "$ca/root.crt" "$ca/root.key" '/O=SLAPENIR development/CN=SLAPENIR development root' 3650 \
			'basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash'
	fi
	# Its EKU keeps it from ever signing a client certificate.
	if ! good_for "$ca/intercept.crt" $((30 * 86400)); then
		new_key "$ca/intercept.key"
		issue "$ca/intercept.crt" "$ca/intercept.key" '/O=SLAPENIR development/CN=SLAPENIR interception' 365 \
			'basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'
	fi
	san=$(san_of "$1")
	if ! good_for "$ca/proxy.pem" $((30 * 86400)) || [ "$(cat "$ca/proxy.san" 2>/dev/null)" != "$san" ]; then
		new_key "$ca/proxy.key"
		issue "$ca/proxy.crt" "$ca/proxy.key" '/CN=SLAPENIR proxy' 90 \
			"basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=$san
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid"
		cat "$ca/proxy.crt" "$ca/proxy.key" > "$ca/proxy.pem.tmp"
		mv "$ca/proxy.pem.tmp" "$ca/proxy.pem"
		printf '%s\n' "$san" > "$ca/proxy.san"
	fi
	good_for "$ca/agents/agent-1.crt" "$week" || make_agent agent-1 30
	[ -e "$ca/crl.pem" ] || make_crl
	publish "$ca/root.crt" "$state/ca.crt" 644
	publish "$ca/agents/agent-1.crt" "$state/agent.crt" 644
	publish "$ca/agents/agent-1.key" "$state/agent.key" 600
}

publish() {
	cmp -s "$1" "$2" && return
	cp "$1" "$2.tmp"
	chmod "$3" "$2.tmp"
	mv "$2.tmp" "$2"
}

revoke() {
	valid_cn "$1"
	[ -e "$ca/agents/$1.crt" ] || die "no certificate of $1 in $ca/agents"
	openssl ca -config "$ca/crl.cnf" -revoke "$ca/agents/$1.crt" 2>/dev/null || die "$1 is revoked already"
	make_crl
}

case $verb in
init) init "${3:-127.0.0.1}" ;;
agent)
	[ -e "$ca/root.key" ] || die "no development CA in $ca: run init first"
	[ $# -ge 3 ] || die "usage: dev-ca.sh agent STATE CN [DAYS]"
	make_agent "$3" "${4:-30}"
	;;
revoke)
	[ $# -ge 3 ] || die "usage: dev-ca.sh revoke STATE CN"
	revoke "$3"
	;;
*) die "unknown verb '$verb': init, agent, revoke" ;;
esac
