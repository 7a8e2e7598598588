#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes the interception root the root of every tool chain in the sandbox: trust.sh ROOT_CRT OUT_DIR writes OUT_DIR/ca.pem and,
# where keytool is present, OUT_DIR/ca.jks. The public roots are left out on purpose: nothing but the gateway can be reached.
set -eu

root=${1:?usage: trust.sh ROOT_CRT OUT_DIR}
out=${2:?usage: trust.sh ROOT_CRT OUT_DIR}
mkdir -p "$out"
openssl x509 -in "$root" -out "$out/ca.pem.new" || {
	echo "trust.sh: $root is not a certificate" >&2
	exit 1
}
chmod 0644 "$out/ca.pem.new"
# keytool takes a second: not for a root that is there already
cmp -s "$out/ca.pem.new" "$out/ca.pem" || rm -f "$out/ca.jks"
mv "$out/ca.pem.new" "$out/ca.pem"
if [ ! -e "$out/ca.jks" ] && command -v keytool >/dev/null; then
	keytool -importcert -noprompt -alias slapenir -file "$out/ca.pem" -keystore "$out/ca.jks" -storepass changeit >/dev/null 2>&1
	chmod 0644 "$out/ca.jks"
fi
