package inspect

import (
	"runtime"
	"syscall"
	"testing"
)

// checkRSS checks the largest memory that any child so far has taken.
func checkRSS(t *testing.T) {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		t.Fatal(err)
	}
	const idle = 40 // MiB of the test binary at rest
	if mb := u.Maxrss >> 10; mb > 256+idle {
		t.Errorf("a child took %d MiB", mb)
	} else {
		t.Logf("largest child: %d MiB (%s)", mb, runtime.GOARCH)
	}
}
