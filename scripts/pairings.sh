#!/bin/sh
# Runs all twelve pairings of image and audio towers, each from photos and
# captions to scores: a few drawn scenes through networks with random weights.
# With a folder that has data/flickr8k and data/weights, as ../shared: 40
# photos of Flickr8k through the pretrained networks, at the paper's sizes.
#
# usage: pairings.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
spec=scripts/pairings.yaml
if [ $# -gt 0 ]; then
	data=$(cd "$1/data" && pwd)
	spec=$tmp/pairings.yaml
	sed -e 's|pairs: {kind: scenes.*|pairs: {kind: flickr8k, with: {root: "'"$data"'/flickr8k", train: "${photos}", validation: 10, captions_per_photo: 1, seed: 1}, max_rejects: 5}|' \
		-e '/tower: vgg16, .*init:/s|init: random, file: ""|init: pretrained, file: "'"$data"'/weights/vgg16_conv_fp16.safetensors"|' \
		-e '/tower: vgg19, .*init:/s|init: random, file: ""|init: vgg16+identity, file: "'"$data"'/weights/vgg16_conv_fp16.safetensors"|' \
		-e '/tower: resnet50, .*init:/s|init: random, file: ""|init: pretrained, file: "'"$data"'/weights/resnet50_to_layer3_fp16.safetensors"|' \
		-e 's/stride: conv1,/stride: auto, /' scripts/pairings.yaml >"$spec"
	set -- --set photos=40 --set side=224 --set frames=1024 --set steps=4
fi
bin=${HEARSIGHT:-bin/hearsight}
start=$(date +%s)
$bin run -f "$spec" --store "$tmp/store" "$@" scores
$bin metrics -f "$spec" --store "$tmp/store" "$@" | tee "$tmp/metrics"
for image in vgg16 vgg19 resnet50; do
	for audio in conv5 conv6 lstm gru; do
		grep -q "$image-$audio" "$tmp/metrics" || { echo "pairings: no scores of $image-$audio" >&2; exit 1; }
	done
done
echo "pairings: all twelve ran in $(($(date +%s) - start)) s"
