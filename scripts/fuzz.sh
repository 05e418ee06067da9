#!/bin/sh
# Every fuzz target in the module, each for the time given (default 10 s).
set -eu
cd "$(dirname "$0")/.."
time=${1:-10s}
grep -rln --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r pkg; do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$pkg"/*_test.go | sed 's/^func //' | sort); do
		echo "fuzz $pkg $target"
		${GO:-go} test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5x "$pkg" </dev/null
	done
done
