package tool

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// sentinelArg is the hidden first argument that makes the program a sentinel.
const sentinelArg = "tool-sentinel"

// A sentinel is a second process of ours that outlives us by a moment, however
// we die: it is told of every process group that we start, reads our end of a
// pipe, and kills the groups that are left when the pipe closes. The kernel's
// own signal to children of a dead parent reaches a child, not its children.
//
// There is one for the whole process, started with the first program that runs
// once UseSentinel was called.
var sentinel struct {
	sync.Mutex
	wanted bool
	pipe   io.WriteCloser // nil until started
}

// UseSentinel asks for a sentinel. Only a program whose main hands its
// arguments to Sentinel may call it.
func UseSentinel() {
	sentinel.Lock()
	defer sentinel.Unlock()
	sentinel.wanted = true
}

// IsSentinel reports whether args, os.Args, ask for a sentinel.
func IsSentinel(args []string) bool { return len(args) == 2 && args[1] == sentinelArg }

// Sentinel is the main function of a sentinel: it returns when its parent is
// gone and the groups that were left are killed.
func Sentinel(stdin io.Reader) int {
	groups := map[int]bool{}
	in := bufio.NewScanner(stdin)
	for in.Scan() {
		id, err := strconv.Atoi(strings.TrimLeft(in.Text(), "+-"))
		if err != nil || id <= 1 {
			continue
		}
		if strings.HasPrefix(in.Text(), "+") {
			groups[id] = true
		} else {
			delete(groups, id)
		}
	}
	for id := range groups {
		killGroup(id, syscall.SIGKILL)
	}
	return 0
}

// tellSentinel says that the group id has begun ('+') or ended ('-'). Without a
// sentinel, or with a dead one, the kernel's signal is all there is.
func tellSentinel(what byte, id int) {
	if !wakeSentinel() {
		return
	}
	sentinel.Lock()
	defer sentinel.Unlock()
	if _, err := fmt.Fprintf(sentinel.pipe, "%c%d\n", what, id); err != nil {
		sentinel.wanted = false
	}
}

// wakeSentinel starts the sentinel if it is wanted and not there yet, and
// reports whether there is one. What it is told from then on reaches it even if
// we die at once.
func wakeSentinel() bool {
	sentinel.Lock()
	defer sentinel.Unlock()
	if !sentinel.wanted || sentinel.pipe != nil {
		return sentinel.wanted
	}
	pipe, err := startSentinel()
	if err != nil {
		sentinel.wanted = false
		return false
	}
	sentinel.pipe = pipe
	return true
}

func startSentinel() (io.WriteCloser, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, sentinelArg)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what kills our group must not kill it
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// It ends after us, so nobody of ours waits for it.
	if err := cmd.Process.Release(); err != nil {
		return nil, err
	}
	return pipe, nil
}
