package simd

import (
	"syscall"
	"unsafe"
)

const (
	hugePage     = 2 << 20 // of amd64 and, with pages of 4 KiB, arm64
	adviseHuge   = 14      // MADV_HUGEPAGE
	collapseHuge = 25      // MADV_COLLAPSE, Linux 6.1
)

// HugePages asks for the huge pages that lie whole in n bytes at p. Memory that
// is read faster than it can be translated gains by it: with pages of 4 KiB,
// the hardware's prefetching ends at each and the next one is a walk through
// the page tables, two-dimensional in a virtual machine. It is a wish: an older
// kernel, or one without huge pages to spare, changes nothing.
func HugePages(p unsafe.Pointer, n int) {
	skip := int(-uintptr(p) % hugePage)
	whole := (n - skip) / hugePage * hugePage
	if whole <= 0 {
		return
	}
	b := unsafe.Slice((*byte)(unsafe.Add(p, skip)), whole)
	_ = syscall.Madvise(b, adviseHuge) // a wish
	_ = syscall.Madvise(b, collapseHuge)
}
