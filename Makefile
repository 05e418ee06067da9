# Each target is one line; longer logic sits in scripts/.
.PHONY: build setup setup-test demo test test-more s3 lint unit race purego generate cross fuzz readers crash bench bench-peers clean

export CGO_ENABLED = 0
GO ?= go

build: ; @scripts/check-go.sh && $(GO) build -trimpath -o bin/hearsight ./cmd/hearsight

setup: ; @scripts/setup.sh

demo: setup build ; @scripts/demo.sh

setup-test: ; @scripts/setup.sh test

test: setup-test lint unit race purego generate cross ; @echo "make test: all passed"

test-more: setup-test build fuzz readers s3 ; @echo "make test-more: all passed"

lint: ; @scripts/lint.sh

unit: ; @$(GO) build -o .tools/testsum ./scripts/testsum && $(GO) test -json ./... | .tools/testsum

race: ; @scripts/race.sh

purego: ; $(GO) test -tags purego -short ./internal/kernel/... ./internal/nn

generate: ; @scripts/check-generated.sh

cross: ; @scripts/cross.sh

fuzz: ; @scripts/fuzz.sh $${FUZZTIME:-10s}

readers: ; @scripts/readers.sh

s3: ; @scripts/s3.sh

crash: build ; @scripts/crash.sh

bench: ; @scripts/bench.sh

bench-peers: ; @scripts/bench-peers.sh

clean: ; rm -rf bin .hearsight demo
