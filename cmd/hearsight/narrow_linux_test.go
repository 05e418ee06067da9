package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// narrow makes a pipe hold as little as it can: a page.
func narrow(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, 4096)
	return err
}
