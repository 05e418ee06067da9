package artifacts

import (
	"fmt"
	"testing"
)

// BenchmarkNothingChanged is what a stage costs a run that finds it done: its
// action, its manifest, a stat of its part.
func BenchmarkNothingChanged(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir, Options{})
	const n = 1000
	for i := range n {
		mustCommit(b, s, fmt.Sprint("work ", i), fmt.Sprint("result ", i))
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	s = open(b, dir, Options{})
	for i := 0; b.Loop(); i++ {
		_, a, err := s.Action(KeyOf(fmt.Sprint("work ", i%n)))
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Complete(a); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommit is what the store costs a small stage, with its fsyncs.
func BenchmarkCommit(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := commit(s, fmt.Sprint("work ", i), fmt.Sprint("result ", i)); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
