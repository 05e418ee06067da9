//go:build !linux

package tool

import "syscall"

const rssUnit = 1 // of Rusage.Maxrss, in bytes: on Darwin

// ownGroup puts a child into a process group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// waitGroup waits for the process to end, calls ended and kills what is left
// of its group. The leader's id may in theory belong to someone else by then,
// but ids are handed out in turn.
func waitGroup(pid int, ended func()) (status syscall.WaitStatus, use syscall.Rusage) {
	for {
		if _, err := syscall.Wait4(pid, &status, 0, &use); err != syscall.EINTR {
			break
		}
	}
	ended()
	killGroup(pid, syscall.SIGKILL)
	return status, use
}

// limitFiles cannot limit a process that runs already; limitNextFiles can.
func limitFiles(int, int64) {}

// watchMemory does not know what others use here.
func watchMemory(_ int, _ int64, quit <-chan struct{}, _ func(int64)) { <-quit }
