//go:build unix

package spec

import (
	"syscall"
	"time"
)

// cpuTime is what the process has used of the cores so far: on a machine with
// other work to do the clock would tell of that.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
