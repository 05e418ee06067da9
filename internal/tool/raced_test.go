//go:build race

package tool

// raced says that the race detector is in: its own memory is several times a
// program's.
const raced = true
