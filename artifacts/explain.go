package artifacts

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// A diskError says what a person can do about an error of the disk.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

// Explain adds what a person can do about the errors of a disk, once.
func (s *Store) Explain(err error) error { return s.explain(err) }

func (s *Store) explain(err error) error {
	switch {
	case err == nil, errors.As(err, new(diskError)):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return diskError{fmt.Errorf("the disk that holds %s is full: free some space, or run gc: %w", s.dir, err)}
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return diskError{fmt.Errorf("%s cannot be written to: use another store, or get the right to write to this one (commands that only read work as it is): %w", s.dir, err)}
	}
	return err
}
