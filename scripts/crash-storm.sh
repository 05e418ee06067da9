#!/bin/sh
# A storm of kills, faults and copies at once on scripts/crash-storm.yaml, by
# killstorm.py of the shared tools, and the states that a power cut may leave, by
# powerloss.py. 40 rounds a seed are about four minutes on two cores.
#
# usage: scripts/crash-storm.sh [short]    short: 8 rounds, for CI
# SEEDS="1 2 3 4 5" ROUNDS=40 POINTS=60 are what it does otherwise.
set -eu
cd "$(dirname "$0")/.."
tools=${HEARSIGHT_SHARED:-../shared}/tools
if [ ! -f "$tools/killstorm.py" ]; then
	echo "crash storm: skipped, no killstorm.py in $tools (set HEARSIGHT_SHARED)"
	exit 0
fi
tools=$(cd "$tools" && pwd)
if [ "${1:-}" = short ]; then
	SEEDS=${SEEDS:-1} ROUNDS=${ROUNDS:-8} POINTS=${POINTS:-6}
fi
modes=kill,killpid,term,int,hup,termgroup,stopcont,fsize,nofile,as,rot,rottrunc,rotdel,dup,dupkill,mtime
if command -v strace >/dev/null 2>&1; then modes=$modes,sysk,errno; else echo "crash storm: no strace: without sysk, errno and power cuts"; fi
if [ "$(id -u)" -eq 0 ]; then modes=$modes,enospc,rofs; else echo "crash storm: not root: without enospc and rofs"; fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp bin/hearsight scripts/crash-storm.yaml "$dir" # so that a build or an edit meanwhile disturbs nothing
store=$dir/store
bin=$dir/hearsight
args="-f $dir/crash-storm.yaml --store $store --set tool=$tools/faketool.sh"
check="[ ! -e $store/format ] || $bin verify --store $store"
for seed in ${SEEDS:-1 2 3 4 5}; do
	echo "crash storm: seed $seed"
	# tmp/ and the marks of atomicfile are all our temporary names.
	nice -n 19 python3 "$tools/killstorm.py" --cmd "$bin run $args" --state "$store" --expect-digest "$bin digest $args" --check "$check" \
		--modes "$modes" --rot-glob 'objects/*' --temp-glob 'tmp/*,*.tmp-*' --exec --noop-frac 0.9 --timeout 300 \
		--rounds "${ROUNDS:-40}" --seed "$seed" --log "$dir/log" || { tail -n 50 "$dir/log"; exit 1; }
done
command -v strace >/dev/null 2>&1 || exit 0
echo "power cuts"
# After a power cut verify may well say "damaged": exit 1. powerloss.py compares
# the store with its trace of the run after it asked for the digest, and digest
# may add to the memo what was too young to trust when the run ended: it gets a copy.
nice -n 19 python3 "$tools/powerloss.py" --cmd "$bin run $args" --state "$store" --check "$check" \
	--expect-digest "rm -rf $dir/copy && cp -a $store $dir/copy && $bin digest $args --store $dir/copy" \
	--check-ok 0,1 --points "${POINTS:-60}" --seed 1 --timeout 300
