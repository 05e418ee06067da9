#!/bin/sh
# Measures a training step of hearsight.yaml (batch 128, clips of 304 frames) here
# and in PyTorch, float32, on two threads, in turn: seconds and CPU seconds a
# step, GFLOP/s of the products as written, and how many times as fast ours is.
#
# usage: bench-recipe.sh [ROUNDS [STEPS]]
#
# PyTorch is that of bench-peers.sh's environment. Its convolutions run in both
# layouts, and the faster one counts. A side's figure is the least of its rounds,
# on the clock and by CPU seconds; asked for: 1.15 on the clock.
set -eu
cd "$(dirname "$0")/.."
python=${XDG_CACHE_HOME:-$HOME/.cache}/hearsight/peers/v/bin/python
if [ ! -x "$python" ]; then
	echo "bench-recipe: skipped: no PyTorch in $python: scripts/bench-peers.sh makes it" >&2
	exit 0
fi
mkdir -p bin
steps=${2:-10} threads=${THREADS:-2}
${GO:-go} test -c -o bin/learn.test ./internal/learn
for _ in $(seq "${1:-3}"); do
	# name, iterations, then pairs of value and unit
	GOMAXPROCS=$threads bin/learn.test -test.run '^$' -test.bench StepRecipe -test.benchtime "${steps}x" | awk '/ns\/op/ {
		for (i = 3; i < NF; i += 2) v[$(i + 1)] = $i
		s = v["ns/op"] / 1e9; c = v["cpu-ms/op"] / 1e3
		printf "ours     %.3f s  %.3f CPU s  %.1f GFLOP/s  %.1f a CPU second\n", s, c, v["GFLOP/s"], v["GFLOP/s"] * s / c
	}'
	for layout in conv1d last; do
		"$python" scripts/bench/recipe_step.py "$steps" "$threads" "$layout" | tr -d '{}",' | awk -v l="$layout" '{
			for (i = 1; i < NF; i++) v[$i] = $(i + 1)
			printf "PyTorch  %.3f s  %.3f CPU s  %.1f GFLOP/s  %.1f a CPU second  (%s)\n", v["s:"], v["cpu_s:"], v["gflop_per_s:"], v["gflop_per_cpu_s:"], l
		}'
	done
done | awk '
	function least(a, k, v) { if (!(k in a) || v < a[k]) a[k] = v }
	{ print; fflush(); least(wall, $1, $2); least(cpu, $1, $4) }
	END { printf "ours is %.2f times as fast on the clock, %.2f by CPU seconds\n", wall["PyTorch"] / wall["ours"], cpu["PyTorch"] / cpu["ours"] }'
