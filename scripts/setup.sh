#!/bin/sh
# Installs what a bare machine lacks where it may; says the one command otherwise.
#
# usage: setup.sh [test|arm64]    with test: also what the tests need, a C compiler
#                                 for the race detector; with arm64: qemu, to run
#                                 that CPU's tests
set -eu
cd "$(dirname "$0")/.."
scripts/check-go.sh
missing=
command -v espeak-ng >/dev/null 2>&1 || command -v say >/dev/null 2>&1 || missing="$missing espeak-ng"
if [ "${1:-}" = test ] && [ "$(uname)" = Linux ]; then
	command -v "${CC:-cc}" >/dev/null 2>&1 || missing="$missing gcc"
	[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
fi
if [ "${1:-}" = arm64 ] && [ "$(uname)" = Linux ]; then
	command -v qemu-aarch64 >/dev/null 2>&1 || missing="$missing qemu-user"
fi
[ -n "$missing" ] || exit 0
if command -v apt-get >/dev/null 2>&1; then
	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
			sudo="sudo -n"
		else
			echo "missing:$missing. Run: sudo apt-get install -y$missing" >&2
			exit 1
		fi
	fi
	echo "installing$missing"
	$sudo apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
elif command -v brew >/dev/null 2>&1; then
	brew install $missing
else
	echo "missing:$missing. Install it with your system's package manager and try again" >&2
	exit 1
fi
