package tool

import (
	"runtime"
	"sync"
	"syscall"
	"time"
)

// fork starts a command in a process group of its own, with files as its stdin,
// stdout and stderr. Whoever calls it holds the thread until the command has
// ended: on Linux the end of the thread kills the command.
func (r *request) fork(files []uintptr) (pid int, err error) {
	return syscall.ForkExec(r.Path, r.Args, &syscall.ProcAttr{Dir: r.Dir, Env: r.Env, Files: files, Sys: ownGroup()})
}

func (r *reply) of(status syscall.WaitStatus, use syscall.Rusage) {
	r.Status = status
	r.CPU = time.Duration(use.Utime.Nano() + use.Stime.Nano())
	r.MaxRSS = use.Maxrss * rssUnit
}

func killGroup(pid int, sig syscall.Signal) {
	_ = syscall.Kill(-pid, sig) // ESRCH: nobody is left
}

// A running is a command that was started.
type running struct {
	ended   chan reply // gets one
	signal  func(syscall.Signal)
	holders func(inode uint64) // nil: nobody can find them
}

// startHere starts a command as a child of this process. That is how it is done
// by programs that ask for no supervisor: tests. What leaves the command's
// group is not followed, and our death is told to the command alone.
func startHere(r *request, files []uintptr) (*running, error) {
	c := &child{r: r, quit: make(chan struct{})}
	run := &running{ended: make(chan reply, 1), signal: c.signal}
	begun := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		pid, err := r.fork(files)
		c.pid = pid
		if begun <- err; err != nil {
			return
		}
		limitFiles(pid, r.MaxFileBytes)
		run.ended <- c.wait()
	}()
	if err := <-begun; err != nil {
		return nil, err
	}
	return run, nil
}

// A child is a command whose parent is this process.
type child struct {
	r    *request
	pid  int
	quit chan struct{} // closed when it has ended
	mu   sync.Mutex
	gone bool  // its id may be another's
	over int64 // bytes that it used and was killed for
}

// signal sends sig to the command's group, unless it is gone.
func (c *child) signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		killGroup(c.pid, sig)
	}
}

func (c *child) wait() reply {
	if c.r.MaxMemoryBytes > 0 {
		go c.watch()
	}
	rep := reply{ID: c.r.ID}
	rep.of(waitGroup(c.pid, func() {
		close(c.quit)
		c.mu.Lock()
		c.gone = true
		c.mu.Unlock()
	}))
	rep.OverRAM = c.over
	return rep
}

// watch kills the command when it uses too much memory. There is no time to
// ask it to stop: it may take a gigabyte a second.
func (c *child) watch() {
	watchMemory(c.pid, c.r.MaxMemoryBytes, c.quit, func(used int64) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.gone {
			c.over = used
			killGroup(c.pid, syscall.SIGKILL)
		}
	})
}
