package inspect

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// limitMemory limits what the process may map for writing. RLIMIT_AS would
// count the address space that Go's runtime reserves and never touches. That
// the limit cannot be set is no error: watch is there.
func limitMemory(bytes uint64) {
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: bytes, Max: bytes})
}

// limitCPU limits the processor time of the process, in seconds. At the hard
// limit the kernel kills it; SIGXCPU, sent at the soft one, Go ignores.
func limitCPU(seconds uint64) {
	_ = unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds})
}

// dieWithParent keeps a child from outliving a parent that is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
