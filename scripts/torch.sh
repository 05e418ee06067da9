#!/bin/sh
# The models that we write must run in PyTorch with the scores that we give:
# docs/load_model.py against ours, for every tower and similarity, to 1e-4.
#
# It takes the Python of `make bench-peers` where that was made, or the one of
# HEARSIGHT_TORCH; without PyTorch it is skipped.
set -eu
cd "$(dirname "$0")/.."
python=${HEARSIGHT_TORCH:-${XDG_CACHE_HOME:-$HOME/.cache}/hearsight/peers/v/bin/python}
if ! "$python" -c 'import torch, numpy' 2>/dev/null; then
	echo "torch: skipped, $python has no PyTorch: \`make bench-peers\` makes it, or set HEARSIGHT_TORCH" >&2
	exit 0
fi
HEARSIGHT_TORCH=$python ${GO:-go} test -count=1 -v -run '^TestTorch$' ./internal/similarity
