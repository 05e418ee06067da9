//go:build !purego

package simd

import "golang.org/x/sys/cpu"

// Sets lists what this CPU can run, best first.
func Sets() []*Set {
	var all []*Set
	if cpu.X86.HasAVX512F {
		all = append(all, &avx512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		all = append(all, &avx2)
	}
	return all
}

// FrameSets lists the same of what works on frames.
func FrameSets() []*FrameSet {
	var all []*FrameSet
	if cpu.X86.HasAVX512F {
		all = append(all, &avx512Frames)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		all = append(all, &avx2Frames)
	}
	return all
}
