#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Starts the supervisor over the sandbox's services. AGENT_COMMAND, or the container's command, is what the agent runs.
set -eu

[ $# -eq 0 ] || AGENT_COMMAND=$(printf "'%s' " "$@")
export AGENT_COMMAND="${AGENT_COMMAND:-sleep infinity}"

run=${SLAPENIR_RUN:-/run/slapenir}
mkdir -p "$run/tls"
chown forwarder "$run/tls"
chmod 0711 "$run"
chmod 0700 "$run/tls"

# s6-svscan writes beside the service directories, and the image is read-only
services=$run/services
rm -rf "$services"
cp -r "${SLAPENIR_SERVICES:-/etc/services.d}" "$services"
if [ -x /init ] && [ "$$" -eq 1 ]; then
	exec /init s6-svscan "$services" # s6-overlay reaps and forwards signals
fi
exec s6-svscan "$services"
