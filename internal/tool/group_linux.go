package tool

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup puts a child into a process group of its own and has the kernel
// kill it when the thread that started it ends, so also when we are killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// waitGroup waits for the process to end, calls ended, kills what is left of
// its group and then reaps it. Until it is reaped its id, and so its group's,
// cannot be given to anyone else.
func waitGroup(cmd *exec.Cmd, ended func()) error {
	pid := cmd.Process.Pid
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	ended()
	killGroup(pid, syscall.SIGKILL)
	return cmd.Wait()
}

func killGroup(pid int, sig syscall.Signal) {
	_ = unix.Kill(-pid, sig) // ESRCH: nobody is left
}

func limitProcess(pid int, fileBytes, memoryBytes int64) {
	set := func(resource int, n int64) {
		if n > 0 {
			// An error means that it is gone already or may not be limited
			// further: it goes on with the limits it has.
			_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: uint64(n), Max: uint64(n)}, nil)
		}
	}
	set(unix.RLIMIT_FSIZE, fileBytes)
	set(unix.RLIMIT_AS, memoryBytes)
}
