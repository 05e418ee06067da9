// Command testsum reads `go test -json` and prints what go test would, followed
// by what was skipped and why: a test that did not run must not look like one
// that passed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output string
}

func main() {
	s := summary{reasons: map[string]int{}, output: map[string][]string{}}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var ev event
		if err := json.Unmarshal(in.Bytes(), &ev); err != nil {
			fmt.Println(in.Text()) // not of a test: the build's own words
			continue
		}
		s.add(ev)
	}
	if err := in.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	s.print()
	if s.failed > 0 || s.passed == 0 { // no test at all is no success
		os.Exit(1)
	}
}

type summary struct {
	passed, failed, skipped int
	reasons                 map[string]int
	output                  map[string][]string // of tests under way
}

func (s *summary) add(ev event) {
	key := ev.Package + " " + ev.Test
	switch ev.Action {
	case "output":
		if ev.Test != "" {
			s.output[key] = append(s.output[key], ev.Output)
		} else if ev.Output != "PASS\n" {
			fmt.Print(ev.Output)
		}
	case "build-output":
		fmt.Print(ev.Output)
	case "pass":
		if ev.Test != "" {
			s.passed++
		}
		delete(s.output, key)
	case "skip":
		if ev.Test != "" {
			s.skipped++
			s.reasons[reason(s.output[key])]++
		}
		delete(s.output, key)
	case "fail", "build-fail":
		s.failed++
		fmt.Print(strings.Join(s.output[key], ""))
		delete(s.output, key)
	}
}

// reason is what a skipped test said, without the place it said it at.
func reason(output []string) string {
	for _, line := range output {
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			_, text, _ = strings.Cut(text, ": ")
			return strings.TrimSpace(text)
		}
	}
	return "no reason given"
}

func (s *summary) print() {
	for _, r := range slices.Sorted(maps.Keys(s.reasons)) {
		fmt.Printf("skipped %d: %s\n", s.reasons[r], r)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
}
