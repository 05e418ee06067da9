//go:build !amd64 || purego

package simd

// Sets lists what this CPU can run, best first: nothing here.
func Sets() []*Set { return nil }

// FrameSets lists the same of what works on frames.
func FrameSets() []*FrameSet { return nil }
