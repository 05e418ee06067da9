#!/bin/sh
# The race detector over the packages with concurrency. It needs cgo and a C
# compiler, which the product itself does not. Left out are cmd/hearsight and
# internal/inspect: inspect reads files in a child whose memory is bounded, and
# the race detector's own does not fit into it.
set -eu
cd "$(dirname "$0")/.."
if ! command -v "${CC:-cc}" >/dev/null 2>&1; then
	echo "race: no C compiler, and the race detector needs one. Run: apt-get install -y gcc libc6-dev" >&2
	exit 1
fi
CGO_ENABLED=1 ${GO:-go} test -race -short ./internal/kernel/spectra ./internal/resample ./internal/retrieval ./artifacts ./artifacts/remote ./internal/atomicfile ./pipeline/... ./internal/tool ./internal/table ./internal/kernel ./internal/nn ./internal/model ./internal/minibatch ./internal/similarity ./internal/learn ./internal/audio ./internal/dataset ./internal/pairs ./internal/rows ./stages/...
