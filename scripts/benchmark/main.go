// Command benchmark says how fast the numeric layer is: by itself, beside
// PyTorch and ONNX Runtime, and in a whole preparation of a data set.
//
//	benchmark alone                      ours, with the share of the FMA peak
//	benchmark peers -python … -peers …   ours and theirs, in turn
//	benchmark prep -python … …           hearsight run and a Python script, in turn
//	benchmark mfcc -python … -clips …    features of sound and their peers, in turn
//	benchmark speech -flickr8k …         the tts stage and a loop over espeak-ng, in turn
//	benchmark sound -python … …          decoding and resampling beside ffmpeg, go-mp3 and soxr
//	benchmark photos -python … …         resizing and decoding photos, and Pillow, in turn
//	benchmark train -python … …          the train stage and a script in PyTorch, in turn
//	benchmark order -data DIR            which pairs the train stage takes in each step
//	benchmark one NAME                   one measurement, as a line of JSON
//
// # How it measures
//
// Each measurement is a process of its own (the program starts itself with
// "one"), so that none inherits another's memory and caches, and the kernel's
// figure for the most memory it held is that of the work alone. A process does
// the work once or twice to warm up and then -reps times.
//
// A shared machine is now fast and now slow, so two programs are compared by
// taking turns: ours, theirs, ours, theirs, -rounds times, each a fresh process.
// A figure is the median: of all repetitions when alone, of the rounds' medians
// beside a peer, whose scripts tell no more. CPU seconds are compared as well;
// they suffer less from neighbours.
//
// A product's share of the peak is taken in pairs: before each repetition the
// FMA units alone are measured, by as many threads. The share is the median of
// the ratios.
//
// Both sides print how many parameters they train and how many frames or what
// shape they end in; if these differ, the program fails.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
}

// modes are the ways of running, the first argument.
var modes = []string{"alone", "peers", "prep", "mfcc", "speech", "sound", "photos", "train", "order", "one"}

// options are the flags.
type options struct {
	reps, rounds, threads int
	only                  string
	results               string // file that a line is appended to for each figure; none if empty
	python, peers, cache  string
	clips                 string // folder of WAV files
	pattern               *regexp.Regexp
	prep                  prepOptions
	speech                speechOptions
	photos                photoOptions
	train                 trainOptions
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: benchmark %s [flags]", strings.Join(modes, "|"))
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.IntVar(&o.reps, "reps", 5, "repetitions a process, after warming up")
	flags.IntVar(&o.rounds, "rounds", 5, "turns that each side takes")
	flags.IntVar(&o.threads, "threads", 2, "CPUs that either side may use")
	flags.StringVar(&o.only, "only", "", "measure what matches this regular expression")
	flags.StringVar(&o.results, "results", "", "append a JSON line for each figure to this file")
	flags.StringVar(&o.python, "python", "python3", "the peers' Python")
	flags.StringVar(&o.peers, "peers", "", "folder of the peers' scripts")
	flags.StringVar(&o.cache, "cache", os.TempDir(), "folder for what the peers keep, outside the tree")
	flags.StringVar(&o.clips, "clips", "", "mfcc: folder of clips, made by the peers' make_clips.py if there are none")
	o.prep.flags(flags)
	o.speech.flags(flags)
	o.photos.flags(flags)
	o.train.flags(flags)
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if o.reps < 1 || o.rounds < 1 || o.threads < 1 || o.train.steps < 1 {
		return errors.New("-reps, -rounds, -threads and -steps: want at least 1")
	}
	var err error
	if o.pattern, err = regexp.Compile(o.only); err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	works := chosen(allWorks(), o.pattern)
	switch args[0] {
	case "one":
		return one(out, flags.Args(), o)
	case "alone":
		return alone(out, works, o)
	case "peers":
		return beside(out, works, o)
	case "prep":
		return prepare(out, o)
	case "mfcc":
		return mfccBeside(out, o)
	case "speech":
		return speech(out, o)
	case "sound":
		return sound(out, o)
	case "photos":
		return comparePhotos(out, o)
	case "train":
		return trainBeside(out, o)
	case "order":
		return writeOrder(out, o.prep.dir, o.train)
	case "photos-one":
		return onePhotos(out, o)
	}
	return fmt.Errorf("%q is none of %s", args[0], strings.Join(modes, ", "))
}

func chosen(all []work, only *regexp.Regexp) (out []work) {
	for _, w := range all {
		if only.MatchString(w.name) {
			out = append(out, w)
		}
	}
	return out
}
