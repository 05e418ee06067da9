#!/bin/sh
# The other systems must build and vet: macOS is where `say` lives.
set -eu
cd "$(dirname "$0")/.."
for target in darwin/arm64 linux/arm64; do
	echo "build and vet for $target"
	GOOS=${target%/*} GOARCH=${target#*/} ${GO:-go} build -o /dev/null ./cmd/hearsight
	GOOS=${target%/*} GOARCH=${target#*/} ${GO:-go} vet ./...
done
