#!/bin/sh
# Measures ours and its peers in turn: PyTorch and ONNX Runtime at the networks,
# then a Python stack at the preparation of 300 photos and recordings, and the
# runner beside DVC, Snakemake, doit, task, ninja and make. A line of JSON for each
# figure but the last ones goes to bench/results.jsonl. Between them, that our
# models run in PyTorch with equal scores (scripts/torch.sh).
#
# usage: bench-peers.sh [-rounds N] [-reps N] [-only REGEXP]
#
# HEARSIGHT_SHARED (../shared) has the peers' scripts, Flickr8k and the weights.
# The peers' Python environment is made once, outside the tree; it takes 6 GB,
# for PyTorch's package for Linux carries CUDA along. PREP_ROUNDS are the rounds
# of the preparation (3, 0 for none); PIPELINE=0 leaves out the runner, TORCH=0
# the check of models.
set -eu
cd "$(dirname "$0")/.."
shared=$(cd "${HEARSIGHT_SHARED:-../shared}" 2>/dev/null && pwd) || shared=
if [ ! -f "$shared/peers/ml/train_step.py" ]; then
	echo "bench-peers: skipped, no peers/ml in ${HEARSIGHT_SHARED:-../shared} (set HEARSIGHT_SHARED)" >&2
	exit 0
fi
home=${XDG_CACHE_HOME:-$HOME/.cache}/hearsight/peers
python=$home/v/bin/python
wants=$(cat "$shared/peers/ml/requirements-torch.txt" scripts/bench/requirements.txt | cksum | tr ' ' -)

# Old builds of OpenBLAS need these on some processors; current ones lose by them.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export PYTHONDONTWRITEBYTECODE=1

install() {
	mkdir -p "$home"
	rm -f "$home/installed-"*
	python3 -m venv --clear "$home/v" &&
		"$home/v/bin/pip" install -q --disable-pip-version-check -r "$shared/peers/ml/requirements-torch.txt" -r scripts/bench/requirements.txt &&
		"$python" -c 'import torch, torchvision, onnxruntime, pyarrow, PIL, python_speech_features' &&
		touch "$home/installed-$wants"
}
if [ ! -e "$home/installed-$wants" ]; then
	echo "bench-peers: making the peers' Python environment in $home (6 GB, once)" >&2
	if ! install; then
		echo "bench-peers: skipped: PyTorch and the other peers could not be installed in $home, see above. They need Python 3.11 or newer with venv, a way to PyPI and 6 GB" >&2
		exit 0
	fi
fi

scripts/check-go.sh
${GO:-go} build -trimpath -buildvcs=auto -o bin/benchmark ./scripts/benchmark
mkdir -p bench
bin/benchmark peers -results bench/results.jsonl -python "$python" -peers "$shared/peers/ml" -cache "$home" "$@"

[ "${TORCH:-1}" = 0 ] || HEARSIGHT_TORCH=$python scripts/torch.sh

prep() {
	rounds=${PREP_ROUNDS:-3}
	weights=$shared/data/weights/vgg16_conv_fp16.safetensors
	if [ "$rounds" = 0 ]; then
		return
	fi
	if [ ! -f "$weights" ] || ! command -v espeak-ng >/dev/null 2>&1; then
		echo "bench-peers: preparation skipped: it needs espeak-ng and $weights" >&2
		return
	fi
	${GO:-go} build -trimpath -o bin/hearsight ./cmd/hearsight
	echo
	bin/benchmark prep -results bench/results.jsonl -rounds "$rounds" -python "$python" \
		-data "$home/prep" -flickr8k "$shared/data/flickr8k" -weights "$weights"
}
prep
[ "${PIPELINE:-1}" = 0 ] || scripts/bench-pipeline.sh
