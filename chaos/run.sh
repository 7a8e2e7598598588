#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.sh [NN...]           runs all faults (or those whose number is given) and prints a table
# run.sh --prove [NN...]   takes each one's protection out of a copy of the tree and sees it fail there
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build}
[[ $BUILD = /* ]] || BUILD=$PWD/$BUILD
prove=''
if [ "${1:-}" = --prove ]; then
	prove=1
	shift
fi
mkdir -p "$BUILD/chaos"
[ "$(id -u)" -eq 0 ] || { echo "chaos: run it as root: it mounts, kills and limits"; exit 1; }

field() { sed -n "s/^# $2: //p" "$1"; }

# A copy of what git knows, less the protection; an expression that changes nothing proves nothing.
take_out() { # SCRIPT FOLDER
	local file='' word
	git ls-files -z | xargs -0 cp --parents -pt "$2" || return 1
	# with what is built already, so that only what is changed is built
	mkdir "$2/build" && cp -pr "$BUILD/obj" "$BUILD/filter" "$BUILD/haproxy-headers" "$2/build/" || return 1
	while IFS= read -r word; do
		if [[ $word != s/* ]]; then
			file=${word%% *}
			word=${word#* }
		fi
		cp "$2/$file" "$2/before"
		sed -i "$word" "$2/$file"
		! cmp -s "$2/$file" "$2/before" || { echo "nothing in $file matches $word"; return 1; }
	done < <(field "$1" without | sed 's/ ;; /\n/g')
	make -s -C "$2" BUILD="$2/build" all
}

run_one() { # SCRIPT LOG
	timeout -k 10 300 "$1" > "$2" 2>&1 < /dev/null
}

prove_one() { # SCRIPT LOG: 0 when it fails as it should
	local folder
	folder=$(mktemp -d /tmp/chaos-prove.XXXXXX)
	chmod 711 "$folder"
	if ! take_out "$1" "$folder" > "$2" 2>&1; then
		rm -rf "$folder"
		return 1
	fi
	(cd "$folder" && BUILD=$folder/build run_one "$1" "$2")
	local code=$?
	rm -rf "$folder"
	[ $code -ne 0 ] && grep -q BROKEN "$2"
}

failed=0 total=0 table=''
for script in chaos/[0-9][0-9]-*.sh; do
	number=${script#chaos/}
	number=${number%%-*}
	[ $# -eq 0 ] || [[ " $* " = *" $number "* ]] || continue
	total=$((total + 1))
	log=$BUILD/chaos/$(basename "$script" .sh)${prove:+-prove}.log
	start=$SECONDS
	if [ -n "$prove" ]; then prove_one "$script" "$log"; else run_one "$script" "$log"; fi
	code=$?
	if [ $code -eq 0 ]; then word=${prove:+fails without}; word=${word:-kept}; else word=BROKEN; failed=$((failed + 1)); cat "$log"; fi
	printf -v line '%-14s %-24s %4d s  %s\n' "$word" "$(basename "$script" .sh)" $((SECONDS - start)) "$(field "$script" fault)"
	printf '%s' "$line"
	table+=$line
done
printf '%s' "$table" > "$BUILD/chaos/summary.txt"
echo "$((total - failed)) of $total faults: what was promised is kept${prove:+ only with the protection}"
[ $failed -eq 0 ] && [ $total -gt 0 ]
