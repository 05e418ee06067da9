#!/bin/sh
# Measures what a run costs that has little or nothing to do, ours beside DVC,
# Snakemake, doit, task, ninja and make: bench/pipeline/bench.py, to which all
# arguments go. The peers from PyPI are installed once, an environment each (their
# dependencies clash), outside the tree; one that cannot be is left out, aloud.
set -eu
cd "$(dirname "$0")/.."
home=${XDG_CACHE_HOME:-$HOME/.cache}/hearsight/pipeline-peers
mkdir -p "$home"
for t in dvc snakemake doit small; do
	wants=bench/pipeline/requirements-$t.txt
	if ! cmp -s "$wants" "$home/$t/installed.txt"; then
		echo "bench-pipeline: installing $(tr '\n' ' ' <"$wants")in $home/$t" >&2
		if python3 -m venv --clear "$home/$t" && "$home/$t/bin/pip" install -q --disable-pip-version-check -r "$wants"; then
			cp "$wants" "$home/$t/installed.txt"
		else
			echo "bench-pipeline: left out: $wants could not be installed, see above" >&2
			continue
		fi
	fi
	PATH=$PATH:$home/$t/bin
done
export PATH
scripts/check-go.sh
${GO:-go} build -trimpath -o bin/hearsight ./cmd/hearsight
exec python3 bench/pipeline/bench.py "$@"
