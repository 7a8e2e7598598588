#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds every fuzz_*.c with clang's libFuzzer, AddressSanitizer and UBSan, and runs each for FUZZ_SECONDS (20) from its corpus.
# Prints a table; what crashed lies under $BUILD/fuzz. With names, only those: run.sh fuzz_frame.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=${BUILD:-build}/fuzz
seconds=${FUZZ_SECONDS:-20}
# shellcheck disable=SC2054 # the commas are the sanitizers'
flags=(-std=c11 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -iquote spoa -iquote tests/unit)
mkdir -p "$out/obj"

newest_header=$(ls -t spoa/*.h spoa/*.inc | head -n 1)
compile() { # one object of the library, when its source or a header is newer
	local source=$1 object
	object=$out/obj/$(basename "$1" .c).o
	[[ $object -nt $source && $object -nt $newest_header ]] || clang "${flags[@]}" -fsanitize=fuzzer-no-link -c -o "$object" "$source"
}
for source in spoa/*.c; do
	[ "$source" != spoa/main.c ] || continue
	while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
	compile "$source" &
done
wait
rm -f "$out/libspoa.a"
ar rcs "$out/libspoa.a" "$out"/obj/*.o

failed=0
rows=
for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	clang "${flags[@]}" -fsanitize=fuzzer -o "$out/$name" "$source" "$out/libspoa.a" -lev -lyaml -lseccomp -lssl -lcrypto -lm
	mkdir -p "$out/corpus-$name" "$out/crash-$name"
	seeds=$(ls -d "tests/fuzz/corpus/$name" "tests/fuzz/corpus/${name#fuzz_}" 2> /dev/null | head -n 1 || true)
	verdict=ok
	"$out/$name" -max_total_time="$seconds" -timeout=20 -print_final_stats=1 -artifact_prefix="$out/crash-$name/" \
		"$out/corpus-$name" ${seeds:+"$seeds"} > "$out/$name.log" 2>&1 || verdict=CRASH
	[ $verdict = ok ] || failed=$((failed + 1))
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log")
	covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$out/$name.log" | tail -n 1)
	rows+=$(printf '%-20s %-6s %12s %10s' "$name" "$verdict" "${runs:-?}" "${covered:-?}")$'\n'
done
printf '%-20s %-6s %12s %10s\n%s' target result runs edges "$rows"
echo "files: $out"
exit $((failed > 0))
