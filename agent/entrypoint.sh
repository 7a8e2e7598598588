#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Starts the supervisor over the sandbox's services. AGENT_COMMAND, or the container's command, is what the agent runs.
set -eu

[ $# -eq 0 ] || AGENT_COMMAND=$(printf "'%s' " "$@")
export AGENT_COMMAND="${AGENT_COMMAND:-sleep infinity}"

run=${SLAPENIR_RUN:-/run/slapenir}
mkdir -p "$run"
chmod 0711 "$run"
if [ ! -d "$run/tls" ]; then # after a restart it is there, and is the forwarder's
	mkdir -m 0711 "$run/tls" # the services look whether the certificate is there; its key is 0600
	chown forwarder "$run/tls"
fi

# s6-svscan writes beside the service directories, and the image is read-only
services=$run/services
rm -rf "$services"
cp -r "${SLAPENIR_SERVICES:-/etc/services.d}" "$services"
if [ -x /init ] && [ "$$" -eq 1 ]; then
	exec /init s6-svscan "$services" # s6-overlay reaps and forwards signals
fi
exec s6-svscan "$services"
