#!/bin/sh
# Measures ours and its peers, in turn:
#
#	models    PyTorch and ONNX Runtime at the networks, training steps and MISA
#	torch     that our models run in PyTorch with equal scores (scripts/torch.sh)
#	photos    Pillow at resizing and decoding photos
#	mfcc      numpy, librosa and python_speech_features at features of sound
#	sound     ffmpeg and go-mp3 at decoding 2,000 clips, soxr at resampling
#	speech    loops over espeak-ng at speaking 2,000 captions
#	prep      a Python stack at the preparation of 300 photos and recordings
#	recipe    PyTorch at a training step of hearsight.yaml (scripts/bench-recipe.sh)
#	pipeline  DVC, Snakemake, doit, task, ninja and make at what a run costs
#	train     PyTorch at training row VGG16_5, TRAIN_STEPS steps (500): times, and
#	          losses: how long either keeps to the curve in float64
#
# A line of JSON for each figure but those of pipeline goes to bench/results.jsonl.
#
# usage: bench-peers.sh [-rounds N] [-reps N] [-only REGEXP]    the flags are for models
#
# PARTS names some of these parts (all), ROUNDS how many turns each side takes in
# those behind models (3). HEARSIGHT_SHARED (../shared) has the peers' scripts,
# Flickr8k and the weights. The peers' Python environment is made once, outside
# the tree; it takes 6 GB, for PyTorch's package for Linux carries CUDA along.
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
rounds=${ROUNDS:-3}

# Old builds of OpenBLAS need these on some processors; current ones lose by them.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export PYTHONDONTWRITEBYTECODE=1

install() {
	mkdir -p "$home"
	rm -f "$home/installed-"*
	python3 -m venv --clear "$home/v" &&
		"$home/v/bin/pip" install -q --disable-pip-version-check -r "$shared/peers/ml/requirements-torch.txt" -r scripts/bench/requirements.txt &&
		"$python" -c 'import torch, torchvision, onnxruntime, pyarrow, PIL, skimage, python_speech_features, librosa, soxr' &&
		touch "$home/installed-$wants"
}
if [ ! -e "$home/installed-$wants" ]; then
	echo "bench-peers: making the peers' Python environment in $home (6 GB, once)" >&2
	if ! install; then
		echo "bench-peers: skipped: PyTorch and the other peers could not be installed in $home, see above. They need Python 3.11 or newer with venv, a way to PyPI and 6 GB" >&2
		exit 0
	fi
fi

# has PART FILE-OR-PROGRAM...: whether what a part needs is there; says what is not.
has() {
	part=$1
	shift
	for need; do
		if [ ! -e "$need" ] && ! command -v "$need" >/dev/null 2>&1; then
			echo "bench-peers: $part skipped: there is no $need" >&2
			return 1
		fi
	done
	echo
}

# ours MODE FLAG...: one of the benchmark's ways of running.
ours() {
	mode=$1
	shift
	bin/benchmark "$mode" -results bench/results.jsonl -python "$python" -peers "$shared/peers/ml" "$@"
}

scripts/check-go.sh
${GO:-go} build -trimpath -buildvcs=auto -o bin/benchmark ./scripts/benchmark
${GO:-go} build -trimpath -o bin/hearsight ./cmd/hearsight
mkdir -p bench
flickr=$shared/data/flickr8k
weights=$shared/data/weights/vgg16_conv_fp16.safetensors
for part in ${PARTS:-models torch photos mfcc sound speech prep recipe pipeline train}; do
	case $part in
	models) ours peers -cache "$home" "$@" ;;
	torch) HEARSIGHT_TORCH=$python scripts/torch.sh ;;
	photos)
		[ -f "$home/photos/119.jpg" ] || "$python" "$shared/peers/ml/make_photos.py" --out "$home/photos"
		ours photos -rounds "$rounds" -photos "$home/photos" -pixels "$home/pixels"
		;;
	mfcc) ! has mfcc espeak-ng || ours mfcc -rounds "$rounds" -clips "$home/clips" ;;
	sound)
		! has sound espeak-ng ffmpeg || ours sound -rounds "$rounds" -data "$home/sound-${SOUND_CLIPS:-2000}" -items "${SOUND_CLIPS:-2000}"
		;;
	speech) ! has speech espeak-ng "$flickr/captions.txt" || ours speech -rounds "$rounds" -flickr8k "$flickr" ;;
	prep) ! has prep espeak-ng "$weights" || ours prep -rounds "$rounds" -data "$home/prep" -flickr8k "$flickr" -weights "$weights" ;;
	recipe) scripts/bench-recipe.sh "$rounds" ;;
	pipeline) scripts/bench-pipeline.sh ;;
	train)
		! has train espeak-ng "$flickr/captions.txt" "$weights" ||
			ours train -rounds "${ROUNDS:-1}" -steps "${TRAIN_STEPS:-500}" -data "$home/train" -flickr8k "$flickr" -weights "$weights"
		;;
	*)
		echo "bench-peers: there is no part $part" >&2
		exit 2
		;;
	esac
done
