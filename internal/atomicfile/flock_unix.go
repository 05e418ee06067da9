//go:build linux || darwin

package atomicfile

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Flock tries to lock an open file, or directory, and reports whether it did;
// it does not wait. The lock belongs to the open file, not to the process:
// two opens of one file exclude each other within a process too. It ends when
// the file is closed or its owner dies, however it dies. Go opens files
// close-on-exec, so a child that outlives its parent does not keep it.
func Flock(f Descriptor, mode LockMode) (bool, error) {
	how := unix.LOCK_EX
	if mode == Shared {
		how = unix.LOCK_SH
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}

// Funlock gives the lock up at once, also when a child that was forked and has
// not yet called exec still holds a copy of the descriptor.
func Funlock(f Descriptor) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }
