package tool

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

const rssUnit = 1 << 10 // of Rusage.Maxrss, in bytes

// ownGroup puts a child into a process group of its own and has the kernel
// kill it when the thread that started it ends, so also when we are killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// waitGroup waits for the process to end, calls ended, kills what is left of
// its group and then reaps it. Until it is reaped its id, and so its group's,
// cannot be given to anyone else.
func waitGroup(pid int, ended func()) (status syscall.WaitStatus, use syscall.Rusage) {
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	ended()
	killGroup(pid, syscall.SIGKILL)
	for {
		if _, err := syscall.Wait4(pid, &status, 0, &use); !errors.Is(err, syscall.EINTR) {
			return status, use
		}
	}
}

// limitFiles limits the size of the files that a process writes, for good.
func limitFiles(pid int, n int64) {
	if n > 0 {
		// An error means that it is gone already or may not be limited
		// further: it goes on with the limits it has.
		_ = unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(n), Max: uint64(n)}, nil)
	}
}
