#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Lines and branches of spoa/ that the unit tests reach: a table per file, and pages under $BUILD/coverage/html. What only runs in a
# gateway (master, workers, verbs) stands at 0 here; the python tests run it.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${BUILD:-build}/coverage
mkdir -p "$out"
tests=$(for t in tests/unit/test_*.c; do echo "$out/tests/$(basename "$t" .c)"; done)
# shellcheck disable=SC2086 # a list of targets
env -u MAKEFLAGS -u MAKELEVEL make -s BUILD="$out" CFLAGS="-O0 -g" EXTRA_CFLAGS="--coverage -U_FORTIFY_SOURCE" $tests
find "$out" -name '*.gcda' -delete
for t in $tests; do
	"$t" > "$t.log" 2>&1 || echo "coverage: $(basename "$t") failed, see $t.log" >&2
done
capture() { lcov --quiet --capture --directory "$out/obj" --base-directory . --rc lcov_branch_coverage=1 "$@" 2>> "$out/lcov.log"; }
: > "$out/lcov.log"
capture --initial --output-file "$out/none.info"
capture --output-file "$out/reached.info"
lcov --quiet --add-tracefile "$out/none.info" --add-tracefile "$out/reached.info" --rc lcov_branch_coverage=1 --output-file "$out/all.info" 2>> "$out/lcov.log"
lcov --quiet --extract "$out/all.info" '*/spoa/*' --rc lcov_branch_coverage=1 --output-file "$out/spoa.info" 2>> "$out/lcov.log"
genhtml --quiet --branch-coverage --output-directory "$out/html" "$out/spoa.info" 2>> "$out/lcov.log"
lcov --list "$out/spoa.info" --rc lcov_branch_coverage=1
echo "files: $out/html/index.html"
