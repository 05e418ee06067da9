//go:build !linux

package simd

import "unsafe"

// HugePages leaves the pages to the system.
func HugePages(p unsafe.Pointer, n int) {}
