//go:build !amd64 || purego

package simd

// Sets lists what this CPU can run, best first: nothing here.
func Sets() []*Set { return nil }
