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
