#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the pages say against what the program has: the table of refusals is printed from the code, and every verb is explained on some page.
set -eu
cd "$(dirname "$0")/../.."

slapenir=${BUILD:-build}/slapenir
bad=0
"$slapenir" refusals | diff - docs/refusals.md > /dev/null || {
	echo "docs/refusals.md is not what \`slapenir refusals\` prints" >&2
	bad=1
}
for verb in $("$slapenir" help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
	grep -qE "slapenir $verb( |\`|\$|:)" README.md docs/*.md || {
		echo "no page says what \`slapenir $verb\` does" >&2
		bad=1
	}
done
exit $bad
