//go:build !linux && !darwin

package atomicfile

import (
	"errors"
	"fmt"
)

// Flock is not available here.
func Flock(Descriptor, LockMode) (bool, error) {
	return false, fmt.Errorf("file locks on this system: %w", errors.ErrUnsupported)
}

// Funlock is not available here.
func Funlock(Descriptor) error {
	return fmt.Errorf("file locks on this system: %w", errors.ErrUnsupported)
}
