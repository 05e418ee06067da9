package tool

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const recvFlags = syscall.MSG_CMSG_CLOEXEC

// selfPath is this program, also when its file was replaced since.
func selfPath() (string, error) { return "/proc/self/exe", nil }

// keepFiles keeps the files from commands that whoever started us left open.
func keepFiles() { _ = unix.CloseRange(socketFD, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) } // since Linux 5.11

// thisThread is the system's id of the calling thread.
func thisThread() int { return unix.Gettid() }

// adoptOrphans has what loses its parent below this process become its child.
func adoptOrphans() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } // since Linux 3.4

// reap waits for children. A command that has ended is not reaped before the
// rest of its group is killed: until then the id is theirs.
func (s *server) reap() {
	for {
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil)
		s.mu.Lock()
		if errors.Is(err, unix.ECHILD) {
			for len(s.active) == 0 && !s.ending {
				s.begun.Wait()
			}
		}
		if s.ending {
			s.mu.Unlock()
			return
		}
		replies := s.finish()
		if reaped := s.sweep(); err == nil && reaped+len(replies) == 0 {
			replies = s.reapAny()
		}
		s.mu.Unlock()
		for _, r := range replies {
			s.reply(r)
		}
	}
}

// reapAny reaps a child that is not where we look for them: there is no /proc.
// The caller holds s.mu.
func (s *server) reapAny() []reply {
	var status syscall.WaitStatus
	var use syscall.Rusage
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, &use)
	for _, c := range s.active {
		if err == nil && c.pid == pid {
			killGroup(pid, syscall.SIGKILL)
			return []reply{s.ended(c, status, use)}
		}
	}
	return nil
}

// finish reaps the commands that have ended. The caller holds s.mu.
func (s *server) finish() (replies []reply) {
	for _, c := range s.active {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, c.pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != nil || info.Signo == 0 {
			continue
		}
		killGroup(c.pid, syscall.SIGKILL)
		var status syscall.WaitStatus
		var use syscall.Rusage
		if pid, err := syscall.Wait4(c.pid, &status, 0, &use); err == nil && pid == c.pid {
			replies = append(replies, s.ended(c, status, use))
		}
	}
	return replies
}

// sweep looks after children that are no commands: what lost its parent. Those
// that are dead are reaped. The others are killed when every command has ended
// that was running when they were first seen, and so may have started them: no
// sooner, since they may still be part of one that is running. The caller holds
// s.mu. It returns how many it reaped.
func (s *server) sweep() (reaped int) {
	oldest, commands := s.starts, make(map[int]bool, len(s.active))
	for _, c := range s.active {
		commands[c.pid] = true
		oldest = min(oldest, c.at)
	}
	seen := make(map[int]uint64)
	for _, pid := range s.children() {
		if commands[pid] {
			continue
		}
		var status syscall.WaitStatus
		if got, _ := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); got == pid {
			reaped++
			continue
		}
		first, ok := s.orphans[pid]
		if !ok {
			first = s.starts
		}
		seen[pid] = first
		if oldest >= first {
			_ = syscall.Kill(pid, syscall.SIGKILL) // ours and not reaped: the id is its own
		}
	}
	s.orphans = seen
	return reaped
}

// children lists our children. The commands are those of the thread that
// started them, and the kernel gives orphans to the first thread of a process,
// so the lists of the others need not be read.
func (s *server) children() []int {
	out, err := childrenOfThread(os.Getpid(), os.Getpid())
	if s.thread != os.Getpid() && err == nil {
		var more []int
		more, err = childrenOfThread(os.Getpid(), s.thread)
		out = append(out, more...)
	}
	if err != nil {
		return childrenByParent(os.Getpid()) // a kernel without such lists
	}
	return out
}

// killChildren kills all children, and those that become children by that,
// until there are none.
func killChildren() {
	for {
		for _, pid := range childrenOf(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return // ECHILD
		}
	}
}

// childrenOf lists the children of a process. They may be gone by the time they
// are looked at, unless they are our own.
func childrenOf(pid int) (out []int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		more, err := childrenOfThread(pid, tid)
		if err == nil {
			out = append(out, more...)
		} else if _, err := childrenOfThread(os.Getpid(), os.Getpid()); err != nil {
			return childrenByParent(pid)
		}
	}
	return out
}

func childrenOfThread(pid, tid int) (out []int, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, tid))
	for f := range strings.FieldsSeq(string(b)) {
		if n, err := strconv.Atoi(f); err == nil {
			out = append(out, n)
		}
	}
	return out, err
}

// childrenByParent is childrenOf by looking at every process there is.
func childrenByParent(pid int) (out []int) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range all {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// 12 (a name) S 1 …: the name may hold anything, the parent is the second after it.
		f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(f) > 1 && f[1] == strconv.Itoa(pid) {
			out = append(out, n)
		}
	}
	return out
}

// descendantsOf lists all that came from a process, as far as it can be seen.
func descendantsOf(pid int) []int {
	all := childrenOf(pid)
	for i := 0; i < len(all); i++ {
		all = append(all, childrenOf(all[i])...)
	}
	return all
}

// killHolders kills the descendants that hold the pipe of that inode. Their ids
// may have become those of others before they are killed, so they are held by
// descriptors, or left alone where the system has none for processes.
func killHolders(inode uint64) {
	want := fmt.Sprintf("pipe:[%d]", inode)
	for _, pid := range descendantsOf(os.Getpid()) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if holds(pid, want) {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		_ = unix.Close(fd)
	}
}

func holds(pid int, link string) bool {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, f := range files {
		if to, err := os.Readlink(dir + f.Name()); err == nil && to == link {
			return true
		}
	}
	return false
}

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
