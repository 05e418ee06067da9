package frame

import (
	"math"
	"testing"
)

// TestPow2: the table has the very bits of math.Pow, and what is beyond it comes
// from there.
func TestPow2(t *testing.T) {
	for q := 4 * -150; q <= 4*50; q++ {
		x := float64(q) / 4
		if got, want := pow2(x), math.Pow(2, x); got != want {
			t.Errorf("2^%v is %v, want %v", x, got, want)
		}
	}
}
