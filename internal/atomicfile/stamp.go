package atomicfile

import "os"

// A Stamp is what the file system says of a file without reading it. While a
// file's stamp stays the same its bytes are taken to be the same, provided
// that it was not changed within the clock's resolution of the moment it was
// read: see Racy. The change time cannot be set back by a program, so a tool
// that restores the modification time does not deceive it.
type Stamp struct {
	Size          int64
	ModifiedNS    int64 // mtime, ns since 1970
	ChangedNS     int64 // ctime, ns since 1970; 0 where the system has none
	Inode, Device uint64
}

// StampOf returns the stamp in a file's info.
func StampOf(info os.FileInfo) Stamp {
	s := Stamp{Size: info.Size(), ModifiedNS: info.ModTime().UnixNano()}
	fillStamp(&s, info.Sys())
	return s
}

// Racy reports whether a file with this stamp, read at readNS, may have been
// changed since without a change of its stamp: it was changed so shortly
// before that the clock of the file system, of resolution windowNS, may not
// tell the two moments apart. Such a file has to be read again.
func (s Stamp) Racy(readNS, windowNS int64) bool {
	return readNS-max(s.ModifiedNS, s.ChangedNS) < windowNS
}
