//go:build !linux

package kernel

import "testing"

// newFence has canaries alone: they tell of writes, not of reads.
func newFence(t *testing.T, n int) *fence {
	return &fence{all: make([]float32, n+2*fenceCanaries), begin: fenceCanaries, end: n + fenceCanaries}
}
