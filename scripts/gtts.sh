#!/bin/sh
# Scores real MP3s (32 Flickr8k captions spoken by gTTS) with a model trained by
# pipeline.yaml; what that run left in the store is used.
#
# usage: scripts/gtts.sh STORE [--set NAME=VALUE ...]
set -eu
cd "$(dirname "$0")/.."
store=${1:?usage: scripts/gtts.sh STORE [--set NAME=VALUE ...]}
shift
data=$(cd "${HEARSIGHT_SHARED:-../shared}/data" && pwd)
mkdir -p "$store"
table=$(cd "$store/.." && pwd)/gtts.csv
# transcripts.tsv: file, caption key (photo#number), text
awk -F'\t' 'BEGIN { print "image,audio,caption" } { split($2, key, "#"); gsub(/"/, "\"\"", $3); printf "%s,%s,\"%s\"\n", key[1], $1, $3 }' \
	"$data/speech/gtts_flickr8k/transcripts.tsv" > "$table"
bin/hearsight run -f scripts/gtts.yaml --store "$store" --set flickr8k="$data/flickr8k" --set weights="$data/weights" \
	--set clips="$data/speech/gtts_flickr8k" --set table="$table" "$@" spoken_scores
bin/hearsight metrics -f scripts/gtts.yaml --store "$store" --set flickr8k="$data/flickr8k" --set weights="$data/weights" \
	--set clips="$data/speech/gtts_flickr8k" --set table="$table" "$@"
