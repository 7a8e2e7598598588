#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# gateway.sh run STATE      CA, rendering, agent and HAProxy, in the foreground until SIGTERM or SIGINT
# gateway.sh up STATE       the same in the background; returns 0 when requests are served
# gateway.sh down STATE     ends it; 0 also when nothing runs
#
# Environment: POLICY (none: the demo), LISTEN, WORKERS, DNS (ADDRESS:PORT of a name server; none: /etc/resolv.conf),
# BUILD (where slapenir and slapenir_filter.so are), HAPROXY (the binary).
set -euo pipefail
umask 077

home=$(cd "$(dirname "$0")/.." && pwd)
build=$(realpath -m "${BUILD:-$home/build}")
slapenir=$build/slapenir
listen=${LISTEN:-127.0.0.1:8443}
agent=${GATEWAY_AGENT:-} proxy='' demo='' stopping='' nap=''

say() { echo "gateway: $*" >&2; }
die() {
	say "$@"
	exit 1
}

[ $# -eq 2 ] || die "usage: gateway.sh run|up|down STATE"
verb=$1
state=$(realpath -m "$2")
log=$state/gateway.log

alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

# pid_in FILE: the process that FILE names, if it lives and its command line names our state
pid_in() {
	local pid
	pid=$(cat "$1" 2>/dev/null) || return 0
	[[ $pid =~ ^[0-9]+$ ]] && grep -qF -- "$state" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
	return 0
}

# --- what is made before anything runs; errors go to whoever called ---

prepare() {
	[ -x "$slapenir" ] || die "there is no $slapenir: run make first"
	[[ $listen == *:* ]] || die "LISTEN=$listen: give ADDRESS:PORT"
	[ -z "$(pid_in "$state/gateway.pid")" ] || die "a gateway runs with this state already: make down STATE=$state first"
	mkdir -p "$state"
	chmod a+x "$state"
	[ -n "${SLAPENIR_EXTERNAL_CA:-}" ] || "$home/ca/dev-ca.sh" init "$state" "${listen%:*}"
	if [ -z "${POLICY:-}" ]; then
		POLICY=$("$home/haproxy/demo.sh" "$build/demo/$(basename "$state")")
		export SLAPENIR_DEMO=${POLICY%/*}
	fi
	POLICY=$(realpath -m "$POLICY")
	[ -r "$POLICY" ] || die "POLICY=$POLICY cannot be read"
	export POLICY
	mkdir -p "$state/haproxy"
	rm -f "$state/haproxy/name-server"
	[ -z "${DNS:-}" ] || printf '%s\n' "$DNS" > "$state/haproxy/name-server"
	"$slapenir" render "$POLICY" --state "$state"
	"$slapenir" env "$POLICY" --state "$state" > "$state/agent.env.tmp"
	chmod 644 "$state/agent.env.tmp"
	mv "$state/agent.env.tmp" "$state/agent.env"
	rm -f "$state/gateway.ready"
	: > "$log"
}

# --- what runs ---

environment() {
	set -a
	# shellcheck disable=SC1091 # rendered
	. "$state/haproxy/paths.env"
	set +a
	export SLAPENIR_HOME=$home SLAPENIR_MODULE=$build/slapenir_filter.so SLAPENIR_LISTEN=$listen SLAPENIR_DIAL=
	export SLAPENIR_PROXY_CERT=${SLAPENIR_PROXY_CERT:-$state/ca/proxy.pem}
	export SLAPENIR_AGENT_CA=${SLAPENIR_AGENT_CA:-$state/ca/root.crt}
	export SLAPENIR_AGENT_CRL=${SLAPENIR_AGENT_CRL:-$state/ca/crl.pem}
	export SLAPENIR_AGENT_REVOKED=${SLAPENIR_AGENT_REVOKED:-$state/ca/revoked.map}
	config=(-f "$home/haproxy/haproxy.cfg" -f "$home/haproxy/spoa-local.cfg")
	if [ "$(id -u)" -eq 0 ]; then
		config=(-f "$home/haproxy/chroot.cfg" "${config[@]}")
	else
		SLAPENIR_DIAL=$SLAPENIR_RUN
	fi
	leave_check
}

# How `slapenir reload` has HAProxy look at what it rendered beside, before that is moved into place.
leave_check() {
	local name arguments=''
	for name in "${config[@]}"; do
		arguments+=" ${name@Q}"
	done
	{
		for name in "${!SLAPENIR_@}"; do
			echo "[ -n \"\${$name+given}\" ] || export $name=${!name@Q}"
		done
		echo "exec ${HAPROXY:-haproxy} -c -q$arguments -f \"\$SLAPENIR_RENDERED/hosts.cfg\""
	} > "$state/haproxy/check.sh"
	printf '%s\n' "$SLAPENIR_AGENT_CRL" "$SLAPENIR_AGENT_REVOKED" > "$state/haproxy/revocation"
}

# In a process of its own: spawn COMMAND... &
spawn() {
	[ -z "$nap" ] || exec {nap}<&-
	exec "$@" >> "$log" 2>&1 < /dev/null
}

start_agent() {
	spawn "$slapenir" spoa --policy "$POLICY" --state "$state" --listen "unix:$SLAPENIR_RUN/spoa.sock" --workers "${WORKERS:-2}" &
	agent=$!
}

start_proxy() {
	spawn "${HAPROXY:-haproxy}" -W -S "$SLAPENIR_RUN/master.sock,mode,600" -p "$state/haproxy.pid" "${config[@]}" \
		-f "$state/haproxy/hosts.cfg" &
	proxy=$!
}

agent_answers() { "$slapenir" status --state "$state" > /dev/null 2>&1; }

# A CONNECT that no policy allows: 403 is the answer only if certificate, agent, filter and canary all work.
requests_are_served() {
	local host=${listen%:*}
	case $host in '' | '*' | 0.0.0.0 | '[::]') host=127.0.0.1 ;; esac
	[ "$(curl -s -m 5 -o /dev/null -w '%{http_connect}' --noproxy '' -x "https://$host:${listen##*:}" --proxy-cacert "$state/ca.crt" \
		--proxy-cert "$state/agent.crt" --proxy-key "$state/agent.key" https://slapenir.invalid/ 2> /dev/null)" = 403 ]
}

wait_until() { # FUNCTION: at most 20 s, and not longer than what was started lives
	local end=$((SECONDS + 20))
	until "$1"; do
		if [ -n "$stopping" ] || [ $SECONDS -ge $end ] || ! alive "$agent" || { [ -n "$proxy" ] && ! alive "$proxy"; }; then
			return 1
		fi
		sleep 0.1
	done
}

# The agent alone gets the caller's environment, which may hold secrets (`env:` in the policy). All else runs without it,
# this script included: it goes on as `serve`, with the same process id.
launch() {
	local name clean=()
	[ "$1" = foreground ] || close_descriptors
	echo $$ > "$state/gateway.pid"
	environment
	start_agent
	export GATEWAY_AGENT=$agent GATEWAY_ANNOUNCE=$1
	for name in PATH LANG HOME POLICY LISTEN WORKERS BUILD HAPROXY GATEWAY_AGENT GATEWAY_ANNOUNCE "${!SLAPENIR_@}"; do
		[ -z "${!name+set}" ] || clean+=("$name=${!name}")
	done
	exec env -i "${clean[@]}" "$0" serve "$state"
}

serve() {
	trap 'stopping=1' TERM INT
	trap '' HUP
	exec {nap}<> <(:) # nothing ever comes: a sleep without a process
	environment
	if [ -n "${SLAPENIR_DEMO:-}" ]; then
		spawn /usr/bin/python3 "$home/haproxy/demo_upstream.py" "$SLAPENIR_DEMO" "$state" &
		demo=$!
	fi
	if ! wait_until agent_answers || ! start_proxy || ! wait_until requests_are_served; then
		[ -n "$stopping" ] || say "it did not come up; the end of $log:"
		[ -n "$stopping" ] || tail -n 15 "$log" >&2
		stop_all
		exit 1
	fi
	[ "$GATEWAY_ANNOUNCE" != foreground ] || announce
	: > "$state/gateway.ready"
	supervise
}

# HAProxy first: what it has accepted is answered by an agent that still lives. Then the agent drains.
stop_all() {
	local pid
	for pid in "$proxy" "$agent" "$demo"; do
		alive "$pid" || continue
		kill -TERM "$pid" 2> /dev/null || true
		for _ in {1..100}; do
			alive "$pid" || break
			sleep 0.05
		done
		kill -KILL "$pid" 2> /dev/null || true
	done
	rm -f "$state/gateway.pid" "$state/gateway.ready" "$state/haproxy.pid"
}

# Without the environment that it was first started with, an agent would not know the secrets that came by it, and so not
# sanitize them.
may_restart_agent() { ! grep -qE "\\benv[\"']? *:" "$POLICY"; }

supervise() {
	while [ -z "$stopping" ]; do
		read -rt 0.3 -u "$nap" || true
		[ -z "$stopping" ] || break
		if ! alive "$agent"; then
			if ! may_restart_agent; then
				echo "gateway: the agent ended, and its policy takes secrets from an environment that is gone: stopping" >> "$log"
				break
			fi
			echo "gateway: the agent ended, starting it again" >> "$log"
			start_agent
		fi
		if ! alive "$proxy"; then
			echo "gateway: HAProxy ended, starting it again" >> "$log"
			start_proxy
		fi
	done
	stop_all
}

announce() {
	echo "slapenir: ready on https://$listen, policy $POLICY, state $state"
	[ -z "$demo" ] || cat <<-END
	try:
	  . $state/agent.env
	  curl -x https://$listen --proxy-cacert $state/ca.crt --proxy-cert $state/agent.crt --proxy-key $state/agent.key --cacert $state/ca.crt -H "Authorization: Bearer \$DEMO_TOKEN" https://echo.slapenir.test/
	END
}

# --- verbs ---

run() {
	prepare
	launch foreground
}

# Nothing of the caller's may stay open in a daemon: who reads from that pipe would wait for ever.
close_descriptors() {
	local fd
	for fd in /proc/"$BASHPID"/fd/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || eval "exec $fd>&-"
	done
}

up() {
	local child
	prepare
	setsid "$0" launch "$state" > /dev/null 2> "$state/gateway.err" < /dev/null &
	child=$!
	while alive "$child"; do
		[ ! -e "$state/gateway.ready" ] || exit 0
		sleep 0.1
	done
	cat "$state/gateway.err" >&2
	exit 1
}

# Processes of this state, whatever started them: pid files may be gone.
left() {
	local file
	for file in $(grep -lsF -- "$state/" /proc/[0-9]*/cmdline); do
		case $(readlink "${file%cmdline}exe" 2> /dev/null) in
		*/haproxy* | */slapenir*) file=${file#/proc/} && echo "${file%/cmdline}" ;;
		esac
	done
	return 0
}

down() {
	local pid
	pid=$(pid_in "$state/gateway.pid")
	if [ -n "$pid" ]; then
		kill -TERM "$pid" 2> /dev/null || true
		for _ in {1..300}; do
			alive "$pid" || break
			sleep 0.05
		done
		kill -KILL "$pid" 2> /dev/null || true
	fi
	for pid in $(left); do
		kill -KILL "$pid" 2> /dev/null || true
	done
	for _ in {1..100}; do
		[ -n "$(left)" ] || break
		sleep 0.05
	done
	[ -z "$(left)" ] || die "still there: $(left)"
	rm -f "$state/gateway.pid" "$state/gateway.ready" "$state/haproxy.pid"
}

case $verb in
run | up | down | serve) "$verb" ;;
launch) launch background ;;
*) die "unknown verb '$verb': run, up, down" ;;
esac
