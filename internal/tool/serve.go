package tool

import (
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
)

// supervisorArg is the hidden first argument that makes the program a supervisor.
const supervisorArg = "tool-supervisor"

// socketFD is where a supervisor finds its socket.
const socketFD = 3

// IsSupervisor reports whether args, os.Args, ask for a supervisor.
func IsSupervisor(args []string) bool { return len(args) == 2 && args[1] == supervisorArg }

// Supervise is the main function of a supervisor. It starts and ends commands
// as it is told until its socket closes, which means that its parent has ended
// or was killed. Then it kills all that is left and returns an exit status.
func Supervise() int {
	// Everything is forked by this one thread, so that on Linux the commands
	// die with it and all children stand in one list.
	runtime.LockOSThread()
	debug.SetGCPercent(400) // it has next to nothing
	syscall.CloseOnExec(socketFD)
	keepFiles()
	// What ends a run is the run's business. They are caught and not ignored:
	// ignoring is inherited by commands.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 1
	}
	s := &server{null: null, thread: thisThread(), active: map[uint64]*command{}, orphans: map[int]uint64{}, enc: newEncoder()}
	s.begun.L = &s.mu
	adoptOrphans()
	go s.reap()
	in := newDecoder(recvFiles, socketReader{})
	for {
		var r request
		files, err := in.next(&r)
		if err != nil {
			break
		}
		s.do(&r, files)
		closeAll(files)
	}
	s.end()
	return 0
}

// A server is the supervisor's state.
type server struct {
	null   *os.File
	thread int // that starts commands

	mu      sync.Mutex
	begun   sync.Cond // a command began
	ending  bool
	starts  uint64 // commands that began so far
	active  map[uint64]*command
	orphans map[int]uint64 // child that is no command -> starts when it was first seen

	send sync.Mutex
	enc  *encoder
}

// A command is one that has not been reaped. So its id is its own, and its
// group's.
type command struct {
	id   uint64
	pid  int
	at   uint64        // the number of its start
	quit chan struct{} // closed when it has ended
	over int64         // bytes that it used and was killed for
}

func (s *server) do(r *request, files []int) {
	switch {
	case r.Signal != 0:
		s.mu.Lock()
		if c := s.active[r.ID]; c != nil {
			killGroup(c.pid, syscall.Signal(r.Signal))
		}
		s.mu.Unlock()
	case r.Holders != 0:
		killHolders(r.Holders)
	default:
		if err := s.start(r, files); err != 0 {
			s.reply(reply{ID: r.ID, Errno: int(err)})
		}
	}
}

func (s *server) start(r *request, files []int) syscall.Errno {
	fds := []uintptr{s.null.Fd()}
	if r.Stdin {
		fds = fds[:0]
	}
	for _, f := range files {
		fds = append(fds, uintptr(f))
	}
	if len(fds) != maxFiles { // there was no room for them
		return syscall.EMFILE
	}
	// Nobody may reap a child, or take it for an orphan, before it is known.
	s.mu.Lock()
	defer s.mu.Unlock()
	restore := limitNextFiles(r.MaxFileBytes)
	pid, err := r.fork(fds)
	restore()
	if err != nil {
		if errno, ok := err.(syscall.Errno); ok {
			return errno
		}
		return syscall.EINVAL // a NUL in a string
	}
	limitFiles(pid, r.MaxFileBytes)
	c := &command{id: r.ID, pid: pid, at: s.starts, quit: make(chan struct{})}
	s.starts++
	s.active[r.ID] = c
	s.begun.Signal()
	if r.MaxMemoryBytes > 0 {
		go s.watch(c, r.MaxMemoryBytes)
	}
	return 0
}

// watch kills a command when it uses too much memory. There is no time to ask
// it to stop: it may take a gigabyte a second.
func (s *server) watch(c *command, limit int64) {
	watchMemory(c.pid, limit, c.quit, func(used int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.active[c.id] == c {
			c.over = used
			killGroup(c.pid, syscall.SIGKILL)
		}
	})
}

// ended takes a command off the list and returns what is to be said of it. The
// caller holds s.mu and says it when that is free.
func (s *server) ended(c *command, status syscall.WaitStatus, use syscall.Rusage) reply {
	delete(s.active, c.id)
	close(c.quit)
	r := reply{ID: c.id, OverRAM: c.over}
	r.of(status, use)
	return r
}

// reply sends r. If nobody is there to read it, the socket closes soon.
func (s *server) reply(r reply) {
	s.send.Lock()
	defer s.send.Unlock()
	b, err := s.enc.frame(&r)
	for err == nil && len(b) > 0 {
		var n int
		if n, err = syscall.Write(socketFD, b); n > 0 {
			b = b[n:]
		}
		if err == syscall.EINTR {
			err = nil
		}
	}
}

// end kills everything below this process.
func (s *server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	for _, c := range s.active {
		killGroup(c.pid, syscall.SIGKILL)
	}
	killChildren()
}

// recvFiles reads from the socket, and the descriptors that come along.
func recvFiles(b []byte) (n int, files []int, err error) {
	oob := make([]byte, syscall.CmsgSpace(4*maxFiles))
	var oobn int
	for {
		n, oobn, _, _, err = syscall.Recvmsg(socketFD, b, oob, recvFlags)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil || oobn == 0 {
		return n, nil, err
	}
	all, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return n, nil, err
	}
	for _, m := range all {
		if f, err := syscall.ParseUnixRights(&m); err == nil {
			files = append(files, f...)
		}
	}
	for _, f := range files {
		syscall.CloseOnExec(f)
	}
	return n, files, nil
}

// socketReader reads what follows the first bytes of a message.
type socketReader struct{}

func (socketReader) Read(b []byte) (int, error) {
	for {
		n, err := syscall.Read(socketFD, b)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
