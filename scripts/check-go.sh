#!/bin/sh
# Says what to do when Go is missing or older than go.mod asks for.
set -eu
want=1.26
if ! command -v "${GO:-go}" >/dev/null 2>&1; then
	echo "hearsight needs Go $want or newer, and no go command is on the PATH: install it from https://go.dev/dl/" >&2
	exit 1
fi
have=$(cd / && GOTOOLCHAIN=local "${GO:-go}" env GOVERSION 2>/dev/null || true) # from /: a go.mod that wants more would be an error
have=${have#go}
major=${have%%.*}
rest=${have#*.}
minor=${rest%%.*}
minor=${minor%%[!0-9]*}
if [ "${major:-0}" -lt 1 ] || { [ "$major" -eq 1 ] && [ "${minor:-0}" -lt 26 ]; }; then
	echo "hearsight needs Go $want or newer, and this is Go ${have:-of an unknown version}: install a newer one from https://go.dev/dl/, or run: go install golang.org/dl/go1.26.0@latest && go1.26.0 download && make GO=go1.26.0 $*" >&2
	exit 1
fi
