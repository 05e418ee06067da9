# Each target is one line; longer logic sits in scripts/.
.PHONY: build setup setup-test demo test test-more lint unit race purego generate cross arm64 pairings own-corpus matchmaps hostile fuzz readers torch s3 crash crash-short paper bench bench-peers clean

export CGO_ENABLED = 0
GO ?= go

# Only the program itself is built by its profile: it compiles all packages anew.
lint unit race purego cross arm64 hostile own-corpus matchmaps fuzz s3: export GOFLAGS += -pgo=off

# On other processors inlining may fuse other operations: what is built there is
# what is tested.
ifneq ($(shell uname -m),x86_64)
build: export GOFLAGS += -pgo=off
endif

build: ; @scripts/check-go.sh && $(GO) build -trimpath -o bin/hearsight ./cmd/hearsight

setup: ; @scripts/setup.sh

demo: setup build ; @scripts/demo.sh

setup-test: ; @scripts/setup.sh test

test: setup-test lint unit race purego generate cross ; @echo "make test: all passed"

test-more: setup-test build arm64 pairings own-corpus matchmaps hostile fuzz readers torch crash-short s3 ; @echo "make test-more: all passed"

lint: ; @scripts/lint.sh

unit: ; @$(GO) build -o .tools/testsum ./scripts/testsum && $(GO) test -json ./... github.com/hajimehoshi/go-mp3/internal/frame | .tools/testsum

race: ; @scripts/race.sh

purego: ; @scripts/numeric.sh

arm64: ; @scripts/arm64.sh

pairings: build ; @scripts/pairings.sh

hostile: ; @HEARSIGHT_HOSTILE=1 $(GO) test -count=1 -run '^TestHostile(Media|Models|Tables)$$' -v ./cmd/hearsight

matchmaps: ; @HEARSIGHT_MATCHMAPS=1 $(GO) test -count=1 -run '^TestSceneMatchmaps$$' -v ./cmd/hearsight

own-corpus: ; @HEARSIGHT_PAGES=1 $(GO) test -count=1 -run '^TestOwnCorpus$$' -v ./cmd/hearsight

generate: ; @scripts/check-generated.sh

cross: ; @scripts/cross.sh

fuzz: ; @scripts/fuzz.sh $${FUZZTIME:-10s}

readers: ; @scripts/readers.sh

torch: ; @scripts/torch.sh

crash: build ; @scripts/crash-storm.sh && scripts/crash.sh && scripts/crash-rows.sh

crash-short: build ; @scripts/crash-storm.sh short && scripts/crash-rows.sh short

s3: ; @scripts/s3.sh

# make paper [STEPS=n | BUDGET=minutes] [ROWS=VGG16_5,…] [PHOTOS=n] [STORE=DIR] [PAGE=paper.html] [MEASURE=1] [GATE=1]
paper: setup build ; @scripts/paper.sh

bench: ; @scripts/bench.sh

bench-peers: ; @scripts/bench-peers.sh

clean: ; rm -rf bin .hearsight demo
