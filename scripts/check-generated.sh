#!/bin/sh
# No generated file may be stale: generate again and compare.
set -eu
cd "$(dirname "$0")/.."
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
files=$(git ls-files -co --exclude-standard | xargs grep -lE '^// Code generated .* DO NOT EDIT' 2>/dev/null | grep -E '\.(go|s)$' || true)
[ -n "$files" ] || { echo "no generated files found" >&2; exit 1; }
tar cf "$before/files.tar" $files
${GO:-go} generate ./...
mkdir "$before/was"
tar xf "$before/files.tar" -C "$before/was"
stale=
for f in $files; do
	cmp -s "$f" "$before/was/$f" || stale="$stale $f"
done
if [ -n "$stale" ]; then
	echo "stale generated files, now made anew:$stale" >&2
	exit 1
fi
