#!/bin/sh
# Kills the training of each of the paper's twelve rows at a random step and lets
# it go on: the model must be that of an undisturbed run. The rows' towers and
# training are pipeline.yaml's, the data drawn scenes (scripts/crash-rows.yaml).
#
# usage: scripts/crash-rows.sh [short]    short: two rows, for CI
# SEED=1, KILLS=1 a row, ROWS="VGG16_5 …" and BINARY=bin/hearsight are what it does otherwise.
set -eu
cd "$(dirname "$0")/.."
rows="VGG16(R) VGG16_5 VGG16_6 VGG19(R) VGG19_5 VGG19_6 Resnet50(R) Resnet50_5 Resnet50_6 VGG19_LSTM(R) VGG19_LSTM VGG19_GRU"
[ "${1:-}" != short ] || rows="VGG16_5 VGG19_GRU"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
${GO:-go} build -o "$dir/crash" ./scripts/crash
cp "${BINARY:-bin/hearsight}" "$dir/hearsight" # so that a build meanwhile disturbs nothing
cp scripts/crash-rows.yaml "$dir"
"$dir/hearsight" run -f "$dir/crash-rows.yaml" --store "$dir/store" mfcc features >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
seed=${SEED:-1}
for row in ${ROWS:-$rows}; do
	echo "$row"
	resumed=-resumed
	case $row in *'(R)') resumed= ;; esac # untrained: there are no steps
	"$dir/crash" -binary "$dir/hearsight" -prepared "$dir/store" -seed "$seed" $resumed -at "model@$row=${KILLS:-1}" -- -f "$dir/crash-rows.yaml" "model@$row"
	seed=$((seed + 1))
done
