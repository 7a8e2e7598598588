#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Writes HAProxy's part of the policy, once at start and then daily: leaf certificates live seven days. The only container that
# holds the interception CA's key; it holds no secret of the policy.
set -eu
umask 077

state=${SLAPENIR_STATE:-/var/lib/slapenir}
policy=${POLICY:-/run/secrets/policy.yaml}

rm -f "$state/haproxy/.rendered" # of an earlier container, for an earlier policy
slapenir render "$policy" --state "$state" --group-reads
touch "$state/haproxy/.rendered"
while sleep 86400 & wait $!; do
	slapenir render "$policy" --state "$state" --group-reads || echo "render.sh: the new rendering failed; the old one stays" >&2
done
