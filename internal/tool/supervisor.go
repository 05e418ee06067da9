package tool

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// supervisor is the supervisor of this process, a second process of ours that
// all programs are started by. It is started with the first of them, once
// UseSupervisor was called.
var supervisor struct {
	sync.Mutex
	wanted bool
	client *client // nil until started, or when it has died
	ids    atomic.Uint64
	cpu    atomic.Int64 // ns, of the programs that it has ended
}

// UseSupervisor asks for a supervisor. Only a program whose main hands its
// arguments to IsSupervisor may call it. It calls CloseSupervisor in the end.
func UseSupervisor() {
	supervisor.Lock()
	defer supervisor.Unlock()
	supervisor.wanted = true
}

// CloseSupervisor ends the supervisor, if there is one, and waits until it has
// killed whatever programs left behind.
func CloseSupervisor() {
	supervisor.Lock()
	c := supervisor.client
	supervisor.client = nil
	supervisor.Unlock()
	if c != nil {
		c.close()
	}
}

// CPU is the processor time of programs that a supervisor has run for this
// process, which the system does not count as that of its children.
func CPU() time.Duration { return time.Duration(supervisor.cpu.Load()) }

// endPatience is how long a supervisor may take to kill everything: what hangs
// in the kernel cannot be killed.
const endPatience = 5 * time.Second

// A client is our side of a supervisor.
type client struct {
	conn    *net.UnixConn
	process *os.Process
	read    chan struct{} // closed when there are no more replies

	sending sync.Mutex
	enc     *encoder

	mu      sync.Mutex
	waiting map[uint64]chan reply // commands that have not ended
	dead    bool
}

// supervised returns the supervisor, nil if none is wanted.
func supervised() (*client, error) {
	supervisor.Lock()
	defer supervisor.Unlock()
	if !supervisor.wanted {
		return nil, nil
	}
	if c := supervisor.client; c != nil && !c.isDead() {
		return c, nil
	}
	c, err := startSupervisor()
	if err != nil {
		return nil, fmt.Errorf("start the supervisor of programs: %w", err)
	}
	supervisor.client = c
	return c, nil
}

func startSupervisor() (_ *client, err error) {
	exe, err := selfPath()
	if err != nil {
		return nil, err
	}
	syscall.ForkLock.RLock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "supervisor"), os.NewFile(uintptr(pair[1]), "supervisor")
	defer func() { err = errors.Join(err, ours.Close(), theirs.Close()) }()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	defer null.Close() // nothing is written to it
	p, err := os.StartProcess(exe, []string{os.Args[0], supervisorArg}, &os.ProcAttr{
		Files: []*os.File{null, null, null, theirs},
		Sys:   &syscall.SysProcAttr{Setsid: true}, // what ends our group or our terminal must not end it
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a socket is a %T", conn), conn.Close())
	}
	c := &client{conn: unixConn, process: p, read: make(chan struct{}), enc: newEncoder(), waiting: map[uint64]chan reply{}}
	go c.readReplies()
	return c, nil
}

// readReplies hands replies on until the socket closes. It can only do so on
// its own if the supervisor died, and the commands with it.
func (c *client) readReplies() {
	defer close(c.read)
	recv := func(b []byte) (int, []int, error) { n, err := c.conn.Read(b); return n, nil, err }
	for in := newDecoder(recv, c.conn); ; {
		var r reply
		if _, err := in.next(&r); err != nil {
			break
		}
		supervisor.cpu.Add(int64(r.CPU))
		c.mu.Lock()
		ended := c.waiting[r.ID]
		delete(c.waiting, r.ID)
		c.mu.Unlock()
		if ended != nil {
			ended <- r
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for _, ended := range c.waiting {
		close(ended)
	}
	clear(c.waiting)
}

func (c *client) isDead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// close ends the supervisor.
func (c *client) close() {
	_ = c.conn.CloseWrite() // the end of what it reads: it ends, and then our reading does
	t := time.AfterFunc(endPatience, func() { _ = c.process.Kill() })
	_, _ = c.process.Wait()
	t.Stop()
	<-c.read
	_ = c.conn.Close()
}

// start has the supervisor start a command with files as its stdin, if it has
// one, stdout and stderr.
func (c *client) start(r *request, files []int) (*running, error) {
	run := &running{ended: make(chan reply, 1)}
	c.mu.Lock()
	if !c.dead {
		c.waiting[r.ID] = run.ended
	}
	dead := c.dead
	c.mu.Unlock()
	if dead {
		return nil, errSupervisor
	}
	if err := c.send(r, files); err != nil {
		return nil, err
	}
	// An error of telling it more means that it has died, and that ends the command.
	run.signal = func(sig syscall.Signal) { _ = c.send(&request{ID: r.ID, Signal: int(sig)}, nil) }
	run.holders = func(inode uint64) { _ = c.send(&request{Holders: inode}, nil) }
	return run, nil
}

// errSupervisor is why a command failed whose supervisor died.
var errSupervisor = errors.New("the supervisor of programs was killed")

func (c *client) send(r *request, files []int) error {
	if err := c.write(r, files); err != nil {
		c.mu.Lock()
		delete(c.waiting, r.ID)
		c.mu.Unlock()
		return err
	}
	return nil
}

func (c *client) write(r *request, files []int) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	b, err := c.enc.frame(r)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		rights = syscall.UnixRights(files...)
	}
	n, _, err := c.conn.WriteMsgUnix(b, rights, nil)
	if err == nil && n < len(b) {
		_, err = c.conn.Write(b[n:])
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errSupervisor, err)
	}
	return nil
}
