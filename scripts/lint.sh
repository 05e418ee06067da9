#!/bin/sh
# gofmt, vet, staticcheck at a pinned version.
set -eu
cd "$(dirname "$0")/.."
bad=$(gofmt -l $(git ls-files -co --exclude-standard '*.go'))
if [ -n "$bad" ]; then
	echo "gofmt -w these files:" >&2
	echo "$bad" >&2
	exit 1
fi
${GO:-go} vet ./...
${GO:-go} run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
