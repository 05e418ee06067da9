#!/bin/sh
# Runs the paper's Table 1, or rows of it, and keeps the scores in docs/: see
# `go doc ./scripts/paper`.
#
# usage: [STEPS=n | BUDGET=minutes] [ROWS=VGG16_5,…] [PHOTOS=n] [STORE=DIR] [PAGE=paper.html] [MEASURE=1] [GATE=1] paper.sh [-flag …]
#
# BUDGET is of training a row, 20 if nothing is said; STEPS=0 is the paper's
# recipe. More steps train a row from its beginning, not from where fewer ended.
# PAGE shows all rows of the run. HEARSIGHT_DATA is the folder with flickr8k/ and weights/.
set -eu
cd "$(dirname "$0")/.."
mkdir -p bin
${GO:-go} build -trimpath -o bin/paper ./scripts/paper
[ "${MEASURE:-0}" != 0 ] || MEASURE=
[ "${GATE:-0}" != 0 ] || GATE=
exec bin/paper ${STEPS:+-steps "$STEPS"} ${BUDGET:+-budget "$BUDGET"} ${ROWS:+-rows "$ROWS"} ${PHOTOS:+-photos "$PHOTOS"} \
	${STORE:+-store "$STORE"} ${PAGE:+-page "$PAGE"} ${MEASURE:+-measure} ${GATE:+-gate} "$@"
