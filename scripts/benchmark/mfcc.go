package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/mel"
	tables "github.com/hearsight/hearsight/internal/table"
)

// mfccSizes are FFT sizes at which ours is set beside librosa: powers of two,
// 25 ms at 16 and 48 kHz, 10 to 50 ms at 22,050 and 44,100 Hz, which have factors
// up to 29, and a prime.
var mfccSizes = []int{220, 330, 400, 441, 442, 512, 539, 550, 551, 600, 882, 1024, 1102, 1103, 1200, 2048}

// mfccWorks are the features of a folder of clips, one thread, by CPU seconds of
// a repetition, the least of a process on both sides.
func mfccWorks(clips string) []work {
	against := func(name, script string, least float64, args ...string) peer {
		return peer{name: name, least: least, figure: "cpu_s", args: append([]string{script, "--clips", "{clips}"}, args...)}
	}
	out := []work{
		{name: "mfcc_551", unit: "s CPU", run: mfccInMemory(clips, mel.Default()), peers: []peer{
			against("batched numpy float32", "mfcc_numpy.py", 2), against("librosa", "mfcc_librosa.py", 4), against("python_speech_features", "mfcc_psf.py", 15),
		}},
		{name: "mfcc_parquet", unit: "s CPU", run: mfccToParquet(clips), peers: []peer{
			against("librosa and pyarrow", "scripts/bench/mfcc_parquet_peer.py", 3),
		}},
	}
	for _, n := range mfccSizes {
		c := mel.Preset(mel.Librosa, 22050)
		c.FFTSize, c.WindowSamples, c.HopSamples, c.Filters, c.Cepstra = n, n, 220, 40, 40
		out = append(out, work{name: fmt.Sprintf("mfcc_librosa_%d", n), unit: "s CPU", run: mfccInMemory(clips, c), peers: []peer{
			against("librosa", "scripts/bench/mfcc_librosa_peer.py", 1, "--nfft", strconv.Itoa(n)),
		}})
	}
	return out
}

// mfccBeside makes the clips, once, and measures ours and the peers in turn.
func mfccBeside(out io.Writer, o options) error {
	if o.clips == "" {
		return errors.New("mfcc: say with -clips where the clips are, or are to be made")
	}
	if files, err := clipFiles(o.clips); err != nil || len(files) == 0 {
		make := exec.Command(o.python, filepath.Join(o.peers, "make_clips.py"), "--out", o.clips)
		if _, err := output(make); err != nil {
			return fmt.Errorf("make clips: %w", err)
		}
	}
	o.threads = 1
	return beside(out, chosen(mfccWorks(o.clips), o.pattern), o)
}

func clipFiles(dir string) ([]string, error) { return filepath.Glob(filepath.Join(dir, "*.wav")) }

// mfccInMemory computes the features of clips that are in memory, as 16-bit
// samples.
func mfccInMemory(dir string, c mel.Config) func(s *sample, reps int) error {
	return func(s *sample, reps int) error {
		files, err := clipFiles(dir)
		if err != nil || len(files) == 0 {
			return fmt.Errorf("no clips in %q: %w", dir, err)
		}
		clips := make([][]int16, len(files))
		for i, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			if clips[i], c.SampleRateHz, err = audio.ReadPCM16(data); err != nil {
				return fmt.Errorf("%s: %w", f, err)
			}
		}
		e, err := mel.New(c)
		if err != nil {
			return err
		}
		return s.leastCPU(reps, func() error {
			for _, x := range clips {
				if _, _, err := e.ExtractPCM16(nil, x); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// mfccToParquet is from the WAV files to a part of an mfcc artifact: what the
// stage does with a clip, and its table.
func mfccToParquet(dir string) func(s *sample, reps int) error {
	return func(s *sample, reps int) error {
		files, err := clipFiles(dir)
		if err != nil || len(files) == 0 {
			return fmt.Errorf("no clips in %q: %w", dir, err)
		}
		e, err := mel.New(mel.Default())
		if err != nil {
			return err
		}
		tmp, err := os.MkdirTemp("", "hearsight-mfcc-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		return s.leastCPU(reps, func() error {
			f, err := os.Create(filepath.Join(tmp, "mfcc.parquet"))
			if err != nil {
				return err
			}
			_, err = tables.MFCCs.Write(f, mfccRows(files, e))
			return errors.Join(err, f.Close())
		})
	}
}

func mfccRows(files []string, e *mel.Extractor) iter.Seq2[tables.MFCC, error] {
	return func(yield func(tables.MFCC, error) bool) {
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				yield(tables.MFCC{}, err)
				return
			}
			row, err := mfccRow(filepath.Base(f), data, e)
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// mfccRow is what stages/mfcc does.
func mfccRow(id string, data []byte, e *mel.Extractor) (tables.MFCC, error) {
	samples, rate, err := audio.ReadPCM16(data)
	if err != nil {
		return tables.MFCC{}, fmt.Errorf("%s: %w", id, err)
	}
	x, frames, err := e.ExtractPCM16(nil, samples)
	if err != nil {
		return tables.MFCC{}, fmt.Errorf("%s: %w", id, err)
	}
	c := e.Config()
	return tables.MFCC{
		ID: id, SHA256: tables.SumFloats(x), NFrames: int32(frames), NCoeffs: int32(e.Cols()), Features: x,
		SourceSHA256: tables.SumBytes(data), SampleRateHz: int32(rate), WindowSamples: int32(c.WindowSamples), HopSamples: int32(c.HopSamples),
	}, nil
}

// leastCPU is repeat for works that are compared by CPU seconds: the one value is
// that of the quickest repetition.
func (s *sample) leastCPU(reps int, f func() error) error {
	if err := s.repeat(reps, func(seconds float64) float64 { return seconds }, f); err != nil {
		return err
	}
	s.Values = []float64{slices.Min(s.CPU)}
	return nil
}
