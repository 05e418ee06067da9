package atomicfile

// A LockMode says who else may hold a lock at the same time.
type LockMode int

const (
	// Exclusive is held by one open file.
	Exclusive LockMode = iota
	// Shared is held by any number, and by none while one holds it exclusively.
	Shared
)

// A Descriptor is an open file, as far as locks are concerned.
type Descriptor interface{ Fd() uintptr }
