# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the chaos scripts share: a gateway of their own with the demo's policy and upstream, a request whose answer proves
# that the secret went out and did not come back, and promises that are kept or broken. Sourced; the gateway ends with the script.
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export BUILD=${BUILD:-$home/build}
[[ $BUILD = /* ]] || BUILD=$home/$BUILD
slapenir=$BUILD/slapenir
broken=0
state='' status='' body=''

# --- the gateway ---

free_port() {
	/usr/bin/python3 -c 'import random, socket
while True:
	with socket.socket() as s:
		try:
			s.bind(("127.0.0.1", random.randrange(10240, 32000)))
			print(s.getsockname()[1])
			break
		except OSError:
			pass'
}

# gateway_up: a gateway in a fresh state directory; `state`, `real` and `placeholder` are set. STATE_MOUNT: options of a tmpfs to put it on.
gateway_up() {
	state=$(mktemp -d /tmp/chaos.XXXXXX)
	chmod 711 "$state"
	trap gateway_down EXIT
	if [ -n "${STATE_MOUNT:-}" ]; then
		mount -t tmpfs -o "$STATE_MOUNT,mode=711" chaos "$state"
	fi
	LISTEN=127.0.0.1:$(free_port)
	export LISTEN
	env -u POLICY "$home/haproxy/gateway.sh" up "$state" || { echo "the gateway did not come up"; exit 1; }
	placeholder=$(sed -n 's/^DEMO_TOKEN=//p' "$state/agent.env")
	real=$(sed -n 's/^DEMO_TOKEN=//p' "$BUILD/demo/$(basename "$state")/real_tokens")
}

gateway_down() {
	local code=$?
	for pid in ${stopped:-}; do kill -CONT "$pid" 2> /dev/null || true; done
	"$home/haproxy/gateway.sh" down "$state" || true
	[ -z "${STATE_MOUNT:-}" ] || umount "$state" || true
	if [ "$code" -ne 0 ] || [ "$broken" -ne 0 ]; then
		tail -n 15 "$state/gateway.log" 2> /dev/null || true
	fi
	rm -rf "${state:?}" "$BUILD/demo/$(basename "$state")"
	[ "$broken" -eq 0 ] || exit 1
	exit "$code"
}

# One process id per line.
workers() { "$slapenir" status --state "$state" 2> /dev/null | grep -o '"pid":[0-9]*,"phase":"serving"' | grep -o '[0-9]\+' || true; }
worker() { workers | head -n 1; }
master() { cat "$state/master.pid"; }
worker_count() { workers | wc -l; }
two_workers() { [ "$(worker_count)" -eq 2 ]; }
# Ended, though init may not have taken note of it yet.
gone() { ! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; }

stop() { # PID...: SIGSTOP, taken back at the end whatever happens
	stopped="${stopped:-} $*"
	kill -STOP "$@"
}

# --- requests ---

# ask [CURL OPTIONS]: a request with the placeholder in a header and in the body; sets `status` (000: no
# answer, or a refused CONNECT) and `body`, which begins with the heads.
ask() {
	local out
	out=$(curl -s -i -m "${LIMIT:-10}" -w '\n%{http_code}' -x "https://$LISTEN" --proxy-cacert "$state/ca.crt" --cacert "$state/ca.crt" \
		--proxy-cert "$state/agent.crt" --proxy-key "$state/agent.key" -H "Authorization: Bearer $placeholder" \
		-d "token=$placeholder" "$@" https://echo.slapenir.test/ 2> /dev/null) || true
	status=${out##*$'\n'}
	body=${out%$'\n'*}
	case $body in
	*"$real"*)
		echo "  a real secret came back: $status"
		broken=1
		;;
	esac
}

served() {
	ask "$@"
	[[ $status = 200 && $body = *'"the_real_secret_arrived": true'* && $body = *"$placeholder"* ]]
}

refused_with() { # CODE
	ask
	[[ ${body,,} = *"x-slapenir-code: $1"* ]]
}

# --- promises ---

# promise TEXT COMMAND...: kept when the command succeeds
promise() {
	local text=$1
	shift
	if "$@"; then
		echo "  kept    $text"
	else
		echo "  BROKEN  $text"
		broken=1
	fi
}

eventually() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

always() { # TIMES COMMAND...
	local times=$1
	shift
	for ((i = 0; i < times; i++)); do
		"$@" || return 1
	done
}

audit_is_json() {
	/usr/bin/python3 -c 'import json, sys
for line in open(sys.argv[1]):
	json.loads(line)' "$state/audit.log"
}
