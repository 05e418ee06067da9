package atomicfile

import "syscall"

func fillStamp(s *Stamp, sys any) {
	if st, ok := sys.(*syscall.Stat_t); ok {
		s.ChangedNS = st.Ctimespec.Nano()
		s.Inode, s.Device = st.Ino, uint64(st.Dev)
	}
}
