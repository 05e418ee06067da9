//go:build !linux

package atomicfile

// Spread is a hint that this system has no word for.
func Spread(string) {}
