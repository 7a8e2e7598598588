#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hands a renewed certificate to a running HAProxy by its runtime API: no reload, no stream is dropped.
#
#   push.sh SOCKET PEM    PEM is the path as HAProxy's configuration names it, already renewed on disk
#
# Without a running HAProxy there is nothing to do: it will read the file when it starts.
set -eu

socket=${1:?usage: push.sh SOCKET PEM}
pem=${2:?usage: push.sh SOCKET PEM}
[ -S "$socket" ] || exit 0
said=$({
	printf 'set ssl cert %s <<\n' "$pem"
	cat "$pem"
	printf '\n'
} | socat -t 5 "unix-connect:$socket" - && printf 'commit ssl cert %s\n' "$pem" | socat -t 5 "unix-connect:$socket" -)
case $said in
*Success*) ;;
*)
	echo "push.sh: HAProxy did not take $pem: $said" >&2
	exit 1
	;;
esac
