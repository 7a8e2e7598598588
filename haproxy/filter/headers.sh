#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# headers.sh DIR VERSION: puts HAProxy's own headers of exactly that upstream version into DIR/include, and into DIR/flags
# the definitions that the installed binary was built with. Headers of another version compile, and then read the
# wrong fields: there is no "near enough".
#
# The source comes from the distribution: deb-src lines are derived from the machine's own apt sources into a temporary
# list. Any Debian revision of the same upstream version will do, because only the orig.tar counts; the newest one may be
# missing from a mirror.
set -eu

dir=$1 version=$2
haproxy=${HAPROXY:-haproxy}

say() { echo "headers.sh: $*" >&2; }

[ -n "$version" ] || { say "no haproxy found; install it: apt-get install haproxy"; exit 1; }
mkdir -p "$(dirname "$dir")"
dir=$(realpath -m "$dir") # apt takes a relative path as one below its own directories
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Sets $sources to a file in deb822 or one-line format that names the source packages of what apt knows.
list_sources() {
	mkdir -p "$work/sources.d"
	for f in /etc/apt/sources.list.d/*.sources; do
		[ -f "$f" ] || continue
		sed 's/^Types:.*/Types: deb-src/' "$f" > "$work/sources.d/$(basename "$f")"
	done
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -f "$f" ] || continue
		sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$f" > "$work/sources.d/$(basename "$f" .list)-src.list"
	done
}

apt() {
	tool=$1
	shift
	"$tool" -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources.d" \
		-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}

# Leaves the upstream tarball in $work, or fails.
fetch() {
	list_sources
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
	apt apt-get update || say "apt-get update failed for some source; trying with the others"
	found=
	for revision in $(apt apt-cache showsrc haproxy 2>/dev/null | sed -n 's/^Version: //p' | sort -rV); do
		case $revision in
		"$version"-*|*:"$version"-*) ;;
		*) continue ;;
		esac
		found=$revision
		(cd "$work" && apt apt-get source --tar-only "haproxy=$revision") >&2 && return 0
		say "the mirror has no tarball for haproxy $revision; trying an older revision"
	done
	say "no source of haproxy $version ${found:+(listed as $found) }could be had from the machine's apt sources;" \
	    "give the upstream tarball as HAPROXY_TARBALL=FILE"
	return 1
}

if [ -n "${HAPROXY_TARBALL:-}" ]; then
	tarball=$HAPROXY_TARBALL
else
	fetch
	tarball=$(find "$work" -maxdepth 1 -name 'haproxy_*.orig.tar.*' | head -n 1)
fi
mkdir "$work/tree"
tar -C "$work/tree" --strip-components=1 -xf "$tarball"
found=$(cat "$work/tree/VERSION")
[ "$found" = "$version" ] || { say "the source is of version $found, the binary of $version"; exit 1; }

# What changes the layout of structures: the features that are on, and the DEBUG line (empty from 3.0 on).
"$haproxy" -vv | sed -n 's/^Feature list : //p' | tr ' ' '\n' | sed -n 's/^+/-DUSE_/p' > "$work/tree/flags"
"$haproxy" -vv | sed -n 's/^ *DEBUG *= *//p' | tr ' ' '\n' | grep '^-D' >> "$work/tree/flags" || :
echo -DPCRE2_CODE_UNIT_WIDTH=8 >> "$work/tree/flags"

mkdir -p "$work/new"
mv "$work/tree/include" "$work/tree/flags" "$work/new/"
rm -rf "$dir"
mv "$work/new" "$dir"
