//go:build !linux

package inspect

import "os/exec"

// Elsewhere watch limits memory, and the parent the time.

func limitMemory(uint64) {}

func limitCPU(uint64) {}

func dieWithParent(*exec.Cmd) {}
