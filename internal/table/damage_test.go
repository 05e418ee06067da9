package table

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// readAll reads b in every way; what matters is that it comes back.
func readAll[R any](f Format[R], b []byte) error {
	_, errRows := collect(f, b)
	r, err := Open(f, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	for i := range min(r.Len(), 50) {
		if _, err := r.Row(i); err != nil {
			return err
		}
	}
	if _, err := r.Keys(); err != nil {
		return err
	}
	return errRows
}

// sound makes a small file of each file format and what reads it.
func sound(t testing.TB) map[string]func(damage func([]byte) []byte) error {
	c, m, i, f := encode(t, Captions, captions(40)), encode(t, MFCCs, mfccs(6, 10)), encode(t, Images, images(5, 8)), encode(t, FeatureMaps("a", "b"), featureMaps(3, 2, 8))
	return map[string]func(func([]byte) []byte) error{
		"captions": func(d func([]byte) []byte) error { return readAll(Captions, d(bytes.Clone(c))) },
		"mfcc":     func(d func([]byte) []byte) error { return readAll(MFCCs, d(bytes.Clone(m))) },
		"images":   func(d func([]byte) []byte) error { return readAll(Images, d(bytes.Clone(i))) },
		"features": func(d func([]byte) []byte) error { return readAll(FeatureMaps("", ""), d(bytes.Clone(f))) },
	}
}

func TestDamageIsAnErrorOrHarmless(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	for name, read := range sound(t) {
		if err := read(func(b []byte) []byte { return b }); err != nil {
			t.Fatalf("%s: undamaged: %v", name, err)
		}
		rng := rand.New(rand.NewPCG(1, uint64(len(name))))
		for range rounds {
			// No expectation but that it returns: a flip may hit padding.
			_ = read(func(b []byte) []byte {
				for range 1 + rng.IntN(3) {
					b[rng.IntN(len(b))] ^= byte(1 + rng.IntN(255))
				}
				return b
			})
		}
		for range rounds / 2 {
			err := read(func(b []byte) []byte { return b[:rng.IntN(len(b))] })
			if err == nil {
				t.Errorf("%s: a truncated file reads without error", name)
			}
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add(encode(f, MFCCs, mfccs(3, 4)))
	f.Add(encode(f, Images, images(2, 4)))
	f.Add([]byte("PAR1 nothing PAR1"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = readAll(MFCCs, b), readAll(Images, b)
	})
}
