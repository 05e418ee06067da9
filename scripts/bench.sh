#!/bin/sh
# Measures ours alone: products with their share of the FMA peak, networks,
# training steps, the similarity matrix, and memory. A line of JSON for each
# figure goes to bench/results.jsonl.
#
# usage: bench.sh [-reps N] [-only REGEXP]
set -eu
cd "$(dirname "$0")/.."
scripts/check-go.sh
${GO:-go} build -trimpath -buildvcs=auto -o bin/benchmark ./scripts/benchmark
mkdir -p bench
exec bin/benchmark alone -results bench/results.jsonl "$@"
