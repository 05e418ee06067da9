#!/bin/sh
# Kills runs at random moments and compares what they end in: on the demo, and
# on the paper's pipeline where Flickr8k and the weights are at hand.
set -eu
cd "$(dirname "$0")/.."
seed=${SEED:-1}
echo "demo"
${GO:-go} run ./scripts/crash -binary bin/hearsight -seed "$seed" -at "${DEMO_AT:-any=5,model=3,speech=2}" -gomaxprocs 1,4 -- -f demo.yaml --set train=200 --set steps=300
data=${HEARSIGHT_SHARED:-../shared}/data
if [ ! -d "$data/flickr8k" ] || [ ! -d "$data/weights" ]; then
	echo "pipeline.yaml: skipped, no Flickr8k and weights in $data (set HEARSIGHT_SHARED)"
	exit 0
fi
echo "pipeline.yaml"
${GO:-go} run ./scripts/crash -binary bin/hearsight -seed "$seed" -at "${PAPER_AT:-any=5,model=3,features=2}" -gomaxprocs 1,4 -- \
	--set flickr8k="$data/flickr8k" --set weights="$data/weights" --set train=40 --set validation=20 --set captions_per_photo=1 --set epochs=2 scores@VGG16_5
