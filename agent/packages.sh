#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs what a sandbox needs, with the package manager that the base image has, and makes the user `agent`. NPM=no leaves npm
# out, which on Debian is some hundred packages.
set -eu

npm=${NPM:-yes}

if command -v apk >/dev/null; then
	apk add --no-cache bash build-base ca-certificates-bundle curl git haproxy nodejs openssl posix-libc-utils py3-pip \
		python-3.12 s6 s6-overlay shadow socat step-cli
	[ "$npm" = no ] || apk add --no-cache npm
elif command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# node-undici: fetch of Debian's node looks at no proxy by itself (node-proxy.cjs)
	apt-get install -y -qq --no-install-recommends bash build-essential ca-certificates curl git haproxy node-undici nodejs openssl procps \
		python3 python3-pip python3-requests s6 socat
	[ "$npm" = no ] || apt-get install -y -qq --no-install-recommends npm
	rm -rf /var/lib/apt/lists/*
	# apt takes the proxy from the environment, but not the root
	echo 'Acquire::https::CAInfo "/run/slapenir/trust/ca.pem";' >/etc/apt/apt.conf.d/80slapenir
else
	echo "packages.sh: neither apk nor apt-get in the base image; use a Wolfi or Debian base (build argument BASE)" >&2
	exit 1
fi
id agent >/dev/null 2>&1 || useradd --create-home --uid 1000 --shell /bin/bash agent
id forwarder >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin forwarder
