// Package atomicfile makes files appear whole or not at all.
//
// A file that is written in place can be seen, or left by a crash, half
// written. So the bytes go to a temporary file beside the final name, the
// temporary file is fsynced, renamed over the final name, and the directory is
// fsynced. A reader sees the old file or the new one; after a power cut the
// disk holds the old one or the new one; and once Commit has returned it holds
// the new one. A writer that is killed leaves at most a file whose name starts
// with a dot and holds ".tmp-"; the next writer of the same file removes it.
//
// The package also holds what else the store and the runner need of a file
// system to keep that promise, so that the calls which differ between systems
// have one place: FS, the seam through which every changing call goes, so that
// tests can make each of them fail; Flock, a lock that dies with its owner;
// and Stamp, which tells whether a file is still the one that was looked at.
package atomicfile
