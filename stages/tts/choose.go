package tts

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"

	"github.com/hearsight/hearsight/internal/tool"
)

// choose draws the voice, rate and pitch of the caption called id.
func (p Params) choose(id string) utterance {
	h := sha256.Sum256(fmt.Appendf(nil, "tts %d %s", p.Seed, id))
	r := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:])))
	from := func(lo, hi int) int { return lo + r.IntN(max(lo, hi)-lo+1) }
	voices := p.voices()
	// Drawn always and in this order, so that one range does not depend on
	// whether another was given.
	return utterance{voice: voices[r.IntN(len(voices))], rate: from(p.Rate, p.RateMax), pitch: from(p.Pitch, p.PitchMax)}
}

// findEngine finds the synthesiser and, where the format needs it, the encoder.
// files is where the parameter files lies, or empty if nothing is spoken yet.
func findEngine(ctx context.Context, p Params, files string) (engine, error) {
	name := p.Engine
	if name == "auto" {
		name = "espeak-ng"
		if _, err := tool.Path("say"); err == nil && runtime.GOOS == "darwin" {
			name = "say" // elsewhere a program of that name may be anything
		}
	}
	switch name {
	case "say":
		return findSay(ctx, p)
	case "command":
		return findCommand(ctx, p, files)
	}
	return findEspeak(ctx, p)
}

// missing says how to get a program that is not there.
func missing(err error, name, install string) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is not installed: %s", name, install)
	}
	return err
}

// inFolder calls f with a folder below parent that exists until f returns.
func inFolder(parent string, f func(dir string) ([]byte, string, error)) (data []byte, format string, err error) {
	dir, err := os.MkdirTemp(parent, "say-*")
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return f(dir)
}
