package kernel

import (
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// newFence maps room for n values between two pages that nobody may touch.
func newFence(t *testing.T, n int) *fence {
	t.Helper()
	page := os.Getpagesize()
	size := max(page, ceilTo(4*n, page))
	mem, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(mem) })
	inner := mem[page : page+size]
	if err := syscall.Mprotect(inner, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	return &fence{all: unsafe.Slice((*float32)(unsafe.Pointer(&inner[0])), size/4), end: size / 4}
}
