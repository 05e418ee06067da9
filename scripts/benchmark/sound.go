package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"

	mp3 "github.com/hajimehoshi/go-mp3"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/resample"
)

const (
	soundScript = "scripts/bench/sound_peer.py"
	soundSpec   = "scripts/bench/decode.yaml"
	soundRate   = 22050
	// soundSeconds is about as long as a spoken caption is.
	soundSeconds = 4.6
	// soundClips are as many as are decoded in this process, of each format.
	soundClips = 40
)

// A soundPeer is what sound_peer.py printed.
type soundPeer struct {
	Wall    float64 `json:"wall"`
	CPU     float64 `json:"cpu"`
	Samples int     `json:"samples"`
	Version string  `json:"version"`
}

// sound compares decoding and resampling: by themselves, in one thread of this
// process and CPU seconds, with go-mp3 and python-soxr; and whole, by a run of
// the decode stage, with ffmpeg.
func sound(out io.Writer, o options) error {
	if o.prep.dir == "" || o.peers == "" {
		return errors.New("sound: say with -data and -peers where things are")
	}
	t, err := newTable(out, o.results)
	if err != nil {
		return err
	}
	if _, err := output(exec.Command(o.python, soundScript, "make", "--data", o.prep.dir, "--clips", filepath.Join(o.peers, "make_clips.py"), "--items", strconv.Itoa(o.prep.items))); err != nil {
		return fmt.Errorf("make recordings: %w", err)
	}
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name    string
		measure func(options) ([]row, error)
	}{{"resample", soundResample}, {"decode", soundInProcess}, {"runner", soundRunner}} {
		if !only.MatchString(m.name) {
			continue
		}
		rows, err := m.measure(o)
		if err != nil {
			return err
		}
		if err := t.add(rows...); err != nil {
			return err
		}
	}
	return t.end()
}

func peerSays(o options, args ...string) (p soundPeer, err error) {
	text, err := output(exec.Command(o.python, append([]string{soundScript}, args...)...))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}

// leastCPU is the CPU seconds of the quickest of reps calls of f, in one thread,
// after one to warm up.
func leastCPU(reps int, f func() error) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if err := f(); err != nil {
		return 0, err
	}
	least := 0.
	for i := range reps {
		l := start()
		if err := f(); err != nil {
			return 0, err
		}
		if _, cpu := l.seconds(); i == 0 || cpu < least {
			least = cpu
		}
	}
	return least, nil
}

// soundResample sets the resampler beside soxr's HQ, which has the same band.
func soundResample(o options) (out []row, err error) {
	const repeats = 20 // in one repetition: a clip takes less than the clock's step
	for _, from := range []int{44100, 48000} {
		x := make([]float32, int(float64(from)*soundSeconds))
		r := rand.New(rand.NewPCG(1, 2))
		for i := range x {
			x[i] = r.Float32() - .5
		}
		var ours, theirs []float64
		var p soundPeer
		for range o.rounds {
			n := 0
			cpu, err := leastCPU(4*o.reps, func() error {
				for range repeats {
					y, err := resample.Resample(x, from, soundRate)
					if n = len(y); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			if p, err = peerSays(o, "resample", "--from", strconv.Itoa(from), "--seconds", fmt.Sprint(soundSeconds), "--reps", strconv.Itoa(4*o.reps)); err != nil {
				return nil, err
			}
			if n != p.Samples {
				return nil, fmt.Errorf("resample: %d samples, soxr %d: not the same work", n, p.Samples)
			}
			ours, theirs = append(ours, soundSeconds*repeats/cpu), append(theirs, soundSeconds/p.CPU)
		}
		a, b := median(ours), median(theirs)
		out = append(out, row{name: fmt.Sprintf("resample_%d_%d", from, soundRate), unit: "x real time", ours: a, peer: b, peerName: p.Version, ratio: a / b,
			least: 1, cpuRatio: slices.Max(ours) / slices.Max(theirs), load: load(), note: fmt.Sprintf("one thread, CPU, a clip of %g s", soundSeconds)})
	}
	return out, nil
}

// soundFiles reads some of the recordings of a format.
func soundFiles(o options, format string) (files [][]byte, err error) {
	names, err := filepath.Glob(filepath.Join(o.prep.dir, format, "*."+format))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no recordings in %s", o.prep.dir)
	}
	for _, n := range names[:min(len(names), soundClips)] {
		data, err := os.ReadFile(n)
		if err != nil {
			return nil, err
		}
		files = append(files, data)
	}
	return files, nil
}

// toWAV does with a recording what the decode stage does.
func toWAV(data []byte) (seconds float64, err error) {
	pcm, _, err := audio.Decode("clip", data)
	if err != nil {
		return 0, err
	}
	mono, err := resample.Resample(pcm.Mono(), pcm.SampleRateHz, soundRate)
	if err != nil {
		return 0, err
	}
	return pcm.DurationSec(), audio.EncodeWAV(io.Discard, soundRate, 1, audio.ToPCM16(mono))
}

// soundInProcess decodes in one thread: MP3, resampled and as WAV, beside what
// go-mp3 alone takes for its part; M4A beside 300 times real time.
func soundInProcess(o options) (out []row, err error) {
	for _, format := range []string{"mp3", "m4a"} {
		files, err := soundFiles(o, format)
		if err != nil {
			return nil, err
		}
		total := 0.
		all := func() error {
			total = 0
			for _, data := range files {
				seconds, err := toWAV(data)
				if total += seconds; err != nil {
					return err
				}
			}
			return nil
		}
		alone := func() error {
			for _, data := range files {
				d, err := mp3.NewDecoder(struct{ io.Reader }{bytes.NewReader(data)})
				if err != nil {
					return err
				}
				if _, err := io.Copy(io.Discard, d); err != nil {
					return err
				}
			}
			return nil
		}
		r := row{name: "decode_" + format, unit: "x real time", note: fmt.Sprintf("one thread, CPU, %d clips, to WAV at %d Hz", len(files), soundRate), load: load()}
		var ours, theirs []float64
		for range o.rounds {
			cpu, err := leastCPU(o.reps, all)
			if err != nil {
				return nil, err
			}
			ours = append(ours, total/cpu)
			if format == "mp3" {
				if cpu, err = leastCPU(o.reps, alone); err != nil {
					return nil, err
				}
				theirs = append(theirs, total/cpu)
			}
		}
		r.ours = median(ours)
		if r.peer, r.peerName, r.least = 300, "300 times real time", 1; format == "mp3" {
			r.peer, r.peerName, r.least = median(theirs), "go-mp3 alone", 1/1.15
			r.cpuRatio = slices.Max(ours) / slices.Max(theirs)
		}
		r.ratio = r.ours / r.peer
		out = append(out, r)
	}
	return out, nil
}

// soundRunner runs the decode stage over all recordings on an empty store, and
// then ffmpeg, with two workers each.
func soundRunner(o options) (out []row, err error) {
	dir, err := os.MkdirTemp("", "hearsight-sound-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	store := filepath.Join(dir, "store")
	run := func(format, stage string) (span, error) {
		cmd := exec.Command(o.prep.binary, "run", "-f", soundSpec, "--store", store, "--set", "data="+o.prep.dir, "--set", "format="+format, stage)
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(o.threads))
		_, s, err := timed(cmd)
		return s, err
	}
	for _, format := range []string{"m4a", "mp3"} {
		var ours, ffmpeg, batched []span
		version := ""
		for range o.rounds {
			if err := os.RemoveAll(store); err != nil {
				return nil, err
			}
			if _, err := run(format, "clips"); err != nil {
				return nil, err
			}
			s, err := run(format, "wav")
			if err != nil {
				return nil, err
			}
			ours = append(ours, s)
			for _, batch := range []int{1, 20} {
				says, err := peerSays(o, "decode", "--data", o.prep.dir, "--format", format, "--batch", strconv.Itoa(batch), "--threads", strconv.Itoa(o.threads))
				if err != nil {
					return nil, err
				}
				version = says.Version
				if s := (span{says.Wall, says.CPU}); batch == 1 {
					ffmpeg = append(ffmpeg, s)
				} else {
					batched = append(batched, s)
				}
			}
		}
		least := map[string][2]float64{"m4a": {10, 1.5}, "mp3": {4, 0}}[format]
		out = append(out,
			runnerRow("decode_"+format+"_runner", o, ours, ffmpeg, version+", a process a clip", least[0]),
			runnerRow("decode_"+format+"_runner", o, ours, batched, version+", 20 clips a process", least[1]))
	}
	return out, nil
}

func runnerRow(name string, o options, ours, theirs []span, peer string, least float64) row {
	middle := func(spans []span) (wall, cpu float64) {
		var w, c []float64
		for _, s := range spans {
			w, c = append(w, s.wall), append(c, s.cpu)
		}
		return median(w), median(c)
	}
	w, c := middle(ours)
	tw, tc := middle(theirs)
	n := float64(o.prep.items)
	return row{name: name, unit: "clips/s", ours: n / w, peer: n / tw, peerName: peer, ratio: tw / w, cpuRatio: tc / c, least: least, load: load(),
		note: fmt.Sprintf("median of %d rounds, %d clips, %d at a time, %.2f and %.2f CPU s", o.rounds, o.prep.items, o.threads, c, tc)}
}
