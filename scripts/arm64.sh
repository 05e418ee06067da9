#!/bin/sh
# The numeric packages' short tests for arm64, under qemu where this machine is
# another: the plain Go paths must hold on a CPU that fuses x*y+z.
#
# What takes longer than all the rest together is left out, and named. Where
# qemu-user is missing and cannot be installed this fails, unless
# HEARSIGHT_SKIP_ARM64=1 allows to go without.
set -eu
cd "$(dirname "$0")/.."
run=
case $(uname -s)/$(uname -m) in
Darwin/arm64 | Linux/aarch64) ;; # as they are
Linux/*)
	find_qemu() { command -v qemu-aarch64 || command -v qemu-aarch64-static; }
	run=$(find_qemu) || { scripts/setup.sh arm64 || true; run=$(find_qemu) || run=none; }
	;;
*) run=none ;;
esac
if [ "$run" = none ]; then
	echo "arm64: tests NOT run: no qemu-aarch64 on this $(uname -s) $(uname -m). On Debian: apt-get install -y qemu-user. To go without: HEARSIGHT_SKIP_ARM64=1" >&2
	[ "${HEARSIGHT_SKIP_ARM64:-}" = 1 ]
	exit
fi
slow='^(TestBilinearSameBits|TestDFTNaN|TestWinogradTraining|TestTrainGolden|TestModelGradients|TestFrozenConcurrent|TestRecipes)$'
echo "arm64: numeric packages ${run:+under $run }without $slow"
GOARCH=arm64 ${GO:-go} test ${run:+-exec "$run"} -short -timeout 20m -skip "$slow" \
	./internal/kernel ./internal/kernel/spectra ./internal/nn ./internal/mel ./internal/resample ./internal/vision ./internal/model ./internal/minibatch ./internal/similarity ./internal/learn
