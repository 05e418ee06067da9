#!/bin/sh
# Every fuzz target in the module, each for the time given (default 10 s). Of a
# target that fails, the input is printed, so that a log is enough to mend it;
# the others still run.
set -eu
cd "$(dirname "$0")/.."
time=${1:-10s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=
for pkg in $(grep -rln --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$pkg"/*_test.go | sed 's/^func //' | sort); do
		echo "fuzz $pkg $target"
		if ${GO:-go} test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5x "$pkg" </dev/null >"$log" 2>&1; then
			tail -n 2 "$log"
			continue
		fi
		cat "$log"
		failed="$failed $pkg.$target"
		# go test says "Failing input written to testdata/fuzz/TARGET/HASH", or,
		# where a seed fails, "failure while testing seed corpus entry: TARGET/HASH".
		input=$(sed -nE 's|.*Failing input written to (testdata/fuzz/[^ ]+).*|\1|p; s|.*seed corpus entry: ([^ ]+/[^ ]+).*|testdata/fuzz/\1|p' "$log" | head -n 1)
		if [ -n "$input" ] && [ -f "$pkg/$input" ]; then
			echo "the input, $pkg/$input ($(wc -c <"$pkg/$input") bytes):"
			head -c 65536 "$pkg/$input"
			echo
		fi
	done
done
[ -z "$failed" ] || { echo "fuzz: failed:$failed" >&2; exit 1; }
