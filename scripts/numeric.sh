#!/bin/sh
# The numeric packages' short tests on the lesser paths that this CPU has too,
# as `hearsight --numeric` chooses them: without assembly in the build, then
# with GODEBUG hiding AVX-512, then AVX2 as well, from golang.org/x/sys/cpu.
set -eu
cd "$(dirname "$0")/.."
rest="./internal/nn ./internal/mel ./internal/resample ./internal/vision ./internal/model ./internal/minibatch ./internal/similarity ./internal/learn ./stages/features ./stages/train ./stages/eval"
echo "numeric: built without assembly (-tags purego)"
${GO:-go} test -tags purego -short ./internal/kernel/... ./internal/nn
[ "$(${GO:-go} env GOARCH)" = amd64 ] || exit 0
for hide in avx512f avx512f,avx2; do
	off=$(echo "cpu.$hide=off" | sed 's/,/=off,cpu./')
	echo "numeric: $off"
	# Under each path the kernels' own tests force all those below it.
	GODEBUG=$off ${GO:-go} test -short ./internal/kernel/... $rest
done
