#!/bin/sh
# Scores real MP3s (32 Flickr8k captions spoken by gTTS) with the models of
# hearsight.yaml, which have been trained into STORE.
#
# usage: scripts/gtts.sh STORE [--set NAME=VALUE ...]    the settings of that run
set -eu
cd "$(dirname "$0")/.."
store=${1:?usage: scripts/gtts.sh STORE [--set NAME=VALUE ...]}
shift
data=$(cd "${HEARSIGHT_SHARED:-../shared}/data" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for start in 1 2 3; do
	bin/hearsight export -f hearsight.yaml --store "$store" --set data="$data" "$@" "model@$start" "$dir/$start"
done
# transcripts.tsv: file, caption key (photo#number), text
awk -F'\t' 'BEGIN { print "image,audio,caption" } { split($2, key, "#"); gsub(/"/, "\"\"", $3); printf "%s,%s,\"%s\"\n", key[1], $1, $3 }' \
	"$data/speech/gtts_flickr8k/transcripts.tsv" >"$dir/table.csv"
set -- -f scripts/gtts.yaml --store "$store" --set data="$data" --set models="$dir" --set clips="$data/speech/gtts_flickr8k" --set table="$dir/table.csv"
bin/hearsight run "$@"
bin/hearsight metrics "$@"
