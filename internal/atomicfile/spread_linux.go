package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// Spread tells the file system that the folders which will be made in dir have
// nothing to do with each other, chattr's T. ext4 then puts each where there is
// room, and the files in them there too, and not where others make and delete
// theirs: without a journal it looks at all that was deleted in the last
// minutes around the place where it makes a file. It is a hint, and where there
// is none like it nothing happens.
func Spread(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()        // only a flag of it was set
	const topDir = 0x20000 // FS_TOPDIR_FL of linux/fs.h
	if flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS); err == nil {
		_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags|topDir))
	}
}
