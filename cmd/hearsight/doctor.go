package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/spf13/cobra"
)

// A finding is one line of doctor.
type finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Needed bool   `json:"needed"` // without it something in the default pipelines does not run
	Value  string `json:"value"`
	Remedy string `json:"remedy,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor",
		Short:   "Say what is installed, what is missing and how to get it",
		Example: "  hearsight doctor",
		RunE: func(c *cobra.Command, _ []string) error {
			found := a.examine(c.Context())
			if a.json {
				return a.printJSON(found)
			}
			missing := false
			for _, f := range found {
				mark := "ok  "
				if !f.OK {
					mark = "-   "
					if f.Needed {
						mark, missing = "need", true
					}
				}
				fmt.Fprintf(a.stdout, "%s  %-12s %s\n", mark, f.Name, f.Value)
				if f.Remedy != "" {
					fmt.Fprintf(a.stdout, "      %-12s %s\n", "", f.Remedy)
				}
			}
			if missing {
				return errors.New("something needed is missing: see the lines marked need")
			}
			return nil
		},
	}
}

func (a *app) examine(ctx context.Context) []finding {
	_, say := exec.LookPath("say")
	return []finding{
		{Name: "numeric", OK: true, Value: fmt.Sprintf("%s on %s/%s, %d cores", kernel.Numeric(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))},
		program(ctx, "espeak-ng", say != nil, "speaks captions (kind tts)", "--version"),
		program(ctx, "say", false, "macOS's voice, an alternative to espeak-ng", ""),
		program(ctx, "ffmpeg", false, "encodes format: m4a | mp3, and decodes what Go does not (HE-AAC, ALAC, Ogg, …)", "-version"),
		a.storeFinding(),
	}
}

func program(ctx context.Context, name string, needed bool, use, versionFlag string) finding {
	f := finding{Name: name, Needed: needed}
	path, err := exec.LookPath(name)
	if err != nil {
		f.Value = "not found: " + use
		f.Remedy = remedy(name)
		return f
	}
	f.OK, f.Value = true, path
	if versionFlag == "" {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, versionFlag).Output() // espeak-ng complains of missing sound cards on stderr
	line, _, _ := strings.Cut(string(out), "\n")
	if err != nil {
		f.OK, f.Value, f.Remedy = false, fmt.Sprintf("%s does not answer: %v", path, err), remedy(name)
		return f
	}
	f.Value = strings.TrimSpace(line)
	return f
}

func remedy(name string) string {
	switch {
	case name == "say":
		return ""
	case runtime.GOOS == "darwin":
		return "brew install " + name
	}
	return "apt-get install -y " + name
}

func (a *app) storeFinding() finding {
	f := finding{Name: "store", Needed: true, Value: a.storeDir()}
	dir := a.storeDir()
	for { // the nearest folder that exists is where the store would be made
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	probe, err := os.CreateTemp(dir, ".hearsight-doctor-*")
	if err != nil {
		f.Value, f.Remedy = fmt.Sprintf("cannot write in %s: %v", dir, err), "choose another folder with --store"
		return f
	}
	err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	f.OK = err == nil
	return f
}

//go:embed starter.yaml
var starter []byte

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "init [FILE]",
		Short:   "Write a spec for your own photos and captions to start from",
		Example: "  hearsight init            # writes pipeline.yaml\n  hearsight init mine.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := "pipeline.yaml"
			if len(args) == 1 {
				path = args[0]
			}
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				return usagef("%s is there already: name another file", path)
			}
			if err := atomicfile.WriteFile(path, starter, 0o644); err != nil {
				return fmt.Errorf("write %s: %w", path, err)
			}
			fmt.Fprintf(a.stdout, "wrote %s. Put your table's path into it, then: hearsight plan -f %s\n", printable(path), printable(path))
			return nil
		},
	}
}
