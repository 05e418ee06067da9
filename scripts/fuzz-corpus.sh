#!/bin/sh
# Picks what is committed under testdata/fuzz, which `go test` runs as seeds: of
# the inputs that fuzzing left in Go's cache, the smallest first, those that reach
# statements of the package that no seed and none picked before reaches. At most
# 20 a target, of at most 2 KB; those that are there stay. Take only targets
# whose seeds are all made by the project's own code.
#
# usage: fuzz-corpus.sh PACKAGE TARGET...    as in fuzz-corpus.sh ./spec FuzzLoad
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
[ $# -ge 2 ] || { echo "usage: fuzz-corpus.sh PACKAGE TARGET..." >&2; exit 2; }
pkg=$1
shift
most=20 bytes=2048 tried=150
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$go" test -c -cover -coverpkg="$pkg" -o "$tmp/test" "$pkg"
cached=$("$go" env GOCACHE)/fuzz/$("$go" list "$pkg")

# reached RUN: the statements that a run reaches, sorted.
reached() {
	(cd "$pkg" && "$tmp/test" -test.run "$1" -test.coverprofile "$tmp/profile" >"$tmp/log" 2>&1) || { cat "$tmp/log" >&2; return 1; }
	awk '$3 > 0 { print $1 }' "$tmp/profile" | sort -u
}

for target; do
	corpus=$pkg/testdata/fuzz/$target
	mkdir -p "$corpus"
	reached "^$target\$" >"$tmp/have"
	picked=$(ls "$corpus" | wc -l)
	for input in $(find "$cached/$target" -type f -size "-$((bytes + 1))c" -printf '%s %f\n' | sort -n | head -n "$tried" | cut -d' ' -f2); do
		[ "$picked" -lt "$most" ] || break
		[ ! -e "$corpus/$input" ] || continue
		cp "$cached/$target/$input" "$corpus/"
		if reached "^$target\$/^$input\$" >"$tmp/got" && [ -n "$(comm -13 "$tmp/have" "$tmp/got")" ]; then
			sort -u -o "$tmp/have" "$tmp/have" "$tmp/got"
			picked=$((picked + 1))
		else
			rm "$corpus/$input"
		fi
	done
	rmdir "$corpus" 2>/dev/null || echo "$corpus: $picked inputs"
done
