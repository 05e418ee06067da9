#!/bin/sh
# Measures a training step of hearsight.yaml here and in PyTorch, float32, on two
# threads, in turn: milliseconds and CPU milliseconds a step.
#
# usage: bench-recipe.sh [ROUNDS]
#
# PyTorch is that of bench-peers.sh's environment.
set -eu
cd "$(dirname "$0")/.."
python=${XDG_CACHE_HOME:-$HOME/.cache}/hearsight/peers/v/bin/python
if [ ! -x "$python" ]; then
	echo "bench-recipe: skipped: no PyTorch in $python: scripts/bench-peers.sh makes it" >&2
	exit 0
fi
mkdir -p bin
${GO:-go} test -c -o bin/learn.test ./internal/learn
for _ in $(seq "${1:-3}"); do
	GOMAXPROCS=2 bin/learn.test -test.run '^$' -test.bench StepRecipe -test.benchtime 10x | grep ns/op
	"$python" scripts/bench/recipe_step.py 10 2
done
