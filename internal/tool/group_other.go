//go:build !linux

package tool

import (
	"os/exec"
	"syscall"
)

// ownGroup puts a child into a process group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// waitGroup waits for the process to end, calls ended and kills what is left
// of its group. The leader's id may in theory belong to someone else by then,
// but ids are handed out in turn.
func waitGroup(cmd *exec.Cmd, ended func()) error {
	err := cmd.Wait()
	ended()
	killGroup(cmd.Process.Pid, syscall.SIGKILL)
	return err
}

func killGroup(pid int, sig syscall.Signal) {
	_ = syscall.Kill(-pid, sig) // ESRCH: nobody is left
}

func limitProcess(int, int64, int64) {}
