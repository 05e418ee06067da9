//go:build !linux

package tool

import (
	"errors"
	"os"
	"syscall"
)

const recvFlags = 0

func selfPath() (string, error) { return os.Executable() }

// adoptOrphans cannot be had here: what leaves a command's group is lost sight of.
func adoptOrphans() {}

// reap waits for children and kills what is left of the groups of those that
// have ended. In theory the id of a group may be another's by then, but ids are
// handed out in turn.
func (s *server) reap() {
	for {
		var status syscall.WaitStatus
		var use syscall.Rusage
		pid, err := syscall.Wait4(-1, &status, 0, &use)
		s.mu.Lock()
		if errors.Is(err, syscall.ECHILD) {
			for len(s.active) == 0 && !s.ending {
				s.begun.Wait()
			}
		}
		ending := s.ending
		var replies []reply
		for _, c := range s.active {
			if err == nil && c.pid == pid {
				killGroup(pid, syscall.SIGKILL)
				replies = append(replies, s.ended(c, status, use))
			}
		}
		s.mu.Unlock()
		if ending {
			return
		}
		for _, r := range replies {
			s.reply(r)
		}
	}
}

func keepFiles() {}

func thisThread() int { return 0 }

func killChildren() {}

func killHolders(uint64) {}

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
