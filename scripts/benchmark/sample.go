package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hearsight/hearsight/internal/kernel"
)

// A sample is what one process measured: a line of JSON on its standard output.
type sample struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Values  []float64 `json:"values"`              // one a repetition
	CPU     []float64 `json:"cpu_s"`               // CPU seconds of each
	Peak    []float64 `json:"peak,omitempty"`      // GFLOP/s of the FMA units alone, just before each
	PerCPU  []float64 `json:"share_cpu,omitempty"` // share of the peak, by CPU seconds in place of the clock
	Numeric string    `json:"numeric"`
	Load    float64   `json:"load1"`
	Memory  int64     `json:"vmhwm,omitempty"` // bytes, the most that was resident; 0 where no one knows

	// What has to be equal on both sides.
	Parameters int   `json:"parameters,omitempty"`
	Frames     int   `json:"frames_out,omitempty"`
	Out        []int `json:"out,omitempty"` // [n][h][w][c]
}

// one does one measurement and prints it.
func one(out io.Writer, names []string, o options) error {
	if len(names) != 1 {
		return fmt.Errorf("one: want one name, not %q", names)
	}
	for _, w := range append(allWorks(), mfccWorks(o.clips)...) {
		if w.name != names[0] {
			continue
		}
		runtime.GOMAXPROCS(o.threads)
		s := &sample{Name: w.name, Unit: w.unit, Numeric: kernel.Numeric()}
		if err := w.run(s, o.reps); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		s.Load, s.Memory = load(), memory()
		return json.NewEncoder(out).Encode(s)
	}
	return fmt.Errorf("one: no measurement is called %q", names[0])
}

// A lap is a stopwatch for repetitions.
type lap struct {
	wall time.Time
	cpu  float64
}

func start() lap { return lap{time.Now(), cpuSeconds()} }

// seconds returns what has passed on the clock and on all CPUs.
func (l lap) seconds() (wall, cpu float64) {
	return time.Since(l.wall).Seconds(), cpuSeconds() - l.cpu
}

// repeat calls f once and then reps times, and adds rate of each repetition's
// seconds to the sample.
func (s *sample) repeat(reps int, rate func(seconds float64) float64, f func() error) error {
	if err := f(); err != nil {
		return err
	}
	for range reps {
		l := start()
		if err := f(); err != nil {
			return err
		}
		wall, cpu := l.seconds()
		s.Values, s.CPU = append(s.Values, rate(wall)), append(s.CPU, cpu)
	}
	return nil
}

// cpuSeconds is the CPU time of this process.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// memory is the kernel's VmHWM, in bytes.
func memory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

// load is how many processes wanted a CPU in the last minute, on average.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return v
}

// median is the middle of x, the mean of the middle two if their number is even;
// 0 of nothing.
func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	s := slices.Clone(x)
	slices.Sort(s)
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}
