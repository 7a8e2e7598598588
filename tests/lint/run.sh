#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make lint: each check prints what is wrong with FILE:LINE, and the table at the end counts. Exit 1 if anything is.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
here=tests/lint
out=${BUILD:-build}/lint
mkdir -p "$out"
failed=0

# check NAME COMMAND...: a check that prints nothing and exits 0 is passed
check() {
	local name=$1 lines
	shift
	"$@" > "$out/$name" 2>&1
	local status=$?
	lines=$(wc -l < "$out/$name")
	if [ $status -eq 0 ] && [ "$lines" -eq 0 ]; then
		table+="$name|ok"$'\n'
	else
		cat "$out/$name"
		table+="$name|$lines findings"$'\n'
		failed=1
	fi
}

sources() { git ls-files -co --exclude-standard -- "$@"; }

warnings() {
	local f
	for f in $(sources 'spoa/*.c' 'tests/unit/*.c' 'tests/fuzz/*.c'); do
		# shellcheck disable=SC2086 # words
		${CC:-gcc} ${CFLAGS:-} -O1 -Ispoa -fsyntax-only "$f"
	done
}

# Each header compiles alone, twice.
headers() {
	local f
	for f in $(sources 'spoa/*.h'); do
		# shellcheck disable=SC2086
		printf '#include "%s"\n#include "%s"\n' "${f#spoa/}" "${f#spoa/}" | ${CC:-gcc} ${CFLAGS:-} -Ispoa -fsyntax-only -xc - || echo "$f: does not compile alone"
	done
}

licences() {
	sources '*.c' '*.h' '*.inc' '*.sh' '*.py' '*.lua' '*.cfg' '*.js' '*.mk' Makefile .ci/run .ci/deps | while read -r f; do
		[ -s "$f" ] || continue
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' || echo "$f:1: no SPDX line in the first three"
	done
}

# Decimal numbers of words after TODO and the like are nobody's; a stub is one whatever it is called.
left_overs() {
	sources 'spoa/*' 'haproxy/*' 'ca/*' 'agent/*' 'chaos/*' | xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b'
	return 0
}

private_keys() {
	sources . | grep -v '^tests/' | xargs grep -lE -- '^-----BEGIN ([A-Z]+ )*PRIVATE KEY-----$'
	return 0
}

shell() {
	local f
	sources '*.sh' .ci/run .ci/deps | xargs shellcheck -S warning -f gcc
	for f in $(git ls-files -s | awk '$1 == "100755" { print $4 }'); do
		head -n 1 "$f" | grep -qE '^#!/bin/(ba)?sh' && [[ $f != *.sh ]] && [[ $f != .ci/* ]] && shellcheck -S warning -f gcc "$f"
	done
	return 0
}

python() {
	sources '*.py' | xargs -I{} python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' {}
}

cpp_check() {
	cppcheck --quiet --std=c11 --language=c -D_GNU_SOURCE --enable=warning,portability --inline-suppr --error-exitcode=1 \
		--suppressions-list=$here/cppcheck.txt --template='{file}:{line}: {message} [{id}]' -j2 -Ispoa spoa/*.c
}

table=
check warnings warnings
check headers headers
check floors python3 $here/floors.py
check sizes python3 $here/sizes.py
check licences licences
check left-overs left_overs
check private-keys private_keys
check shell shell
check python python
check cppcheck cpp_check
[ ! -x $here/docs.sh ] || [ ! -x "${BUILD:-build}/slapenir" ] || check docs $here/docs.sh
printf '\n'
column -t -s '|' <<< "$table"
exit $failed
