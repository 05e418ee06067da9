package artifacts

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// How close in time a change and a reading of a file may be for the file's
// stamp to miss the change. The store lies on a disk whose clock ticks every
// 1 to 10 ms (Linux stamps files with the time of the last timer tick); inputs
// may lie anywhere, and FAT counts in steps of two seconds.
const (
	objectWindow = 20 * time.Millisecond
	inputWindow  = 2 * time.Second
)

// A record says: the file that key stands for, when it had this stamp, had
// bytes of this digest. The key of an object is its digest, that of an input
// the hash of its path.
//
// On disk a record is recordSize bytes, little-endian:
//
//	 0  magic "HSC1"
//	 4  key            32
//	36  digest         32
//	68  size, mtime, ctime, inode, device, time of reading (ns), 8 each
//	116 CRC-32C of the bytes before
//
// Records are appended, and a later one replaces an earlier one of the same
// key. They are of one size, so a torn or damaged one costs only itself.
type record struct {
	key    [32]byte
	digest Digest
	stamp  atomicfile.Stamp
	readNS int64
}

const (
	recordMagic  = "HSC1"
	recordSize   = 120
	flushEvery   = 512         // records kept in memory before they are written down
	lockPatience = time.Second // longest wait to write a cache down
	statSlack    = 64 << 10    // bytes of replaced records that are not worth writing the file anew
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r record) append(b []byte) []byte {
	start := len(b)
	b = append(b, recordMagic...)
	b = append(b, r.key[:]...)
	b = append(b, r.digest[:]...)
	for _, x := range []uint64{uint64(r.stamp.Size), uint64(r.stamp.ModifiedNS), uint64(r.stamp.ChangedNS),
		r.stamp.Inode, r.stamp.Device, uint64(r.readNS)} {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func parseRecord(b []byte) (r record, ok bool) {
	if len(b) != recordSize || string(b[:4]) != recordMagic ||
		crc32.Checksum(b[:116], castagnoli) != binary.LittleEndian.Uint32(b[116:]) {
		return r, false
	}
	copy(r.key[:], b[4:])
	copy(r.digest[:], b[36:])
	n := func(i int) uint64 { return binary.LittleEndian.Uint64(b[68+8*i:]) }
	r.stamp = atomicfile.Stamp{Size: int64(n(0)), ModifiedNS: int64(n(1)), ChangedNS: int64(n(2)), Inode: n(3), Device: n(4)}
	r.readNS = int64(n(5))
	return r, true
}

// A statcache remembers which files were hashed. It is a cache: no error of
// its own file is worth failing a run, so flush keeps what it could not write.
type statcache struct {
	s       *Store
	mu      sync.Mutex
	loaded  bool
	damaged bool // the file has records that cannot be read: it is due to be written anew
	records map[[32]byte]record
	pending map[[32]byte]struct{} // not on disk yet
}

func newStatcache(s *Store) *statcache {
	return &statcache{s: s, records: map[[32]byte]record{}, pending: map[[32]byte]struct{}{}}
}

func (c *statcache) path() string { return c.s.path("statcache") }

// read returns the records of the file, and how many were damaged.
func (c *statcache) read() (records []record, damaged int, err error) {
	data, err := os.ReadFile(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	records = make([]record, 0, len(data)/recordSize)
	for ; len(data) > 0; data = data[min(recordSize, len(data)):] {
		r, ok := parseRecord(data[:min(recordSize, len(data))])
		if !ok {
			damaged++
			continue
		}
		records = append(records, r)
	}
	return records, damaged, err
}

// load reads the file once. The caller holds c.mu.
func (c *statcache) load() {
	if c.loaded {
		return
	}
	c.loaded = true
	records, damaged, err := c.read()
	c.damaged = damaged > 0 || err != nil
	if len(c.records) == 0 {
		c.records = make(map[[32]byte]record, len(records))
	}
	for _, r := range records {
		if _, ours := c.pending[r.key]; !ours {
			c.records[r.key] = r
		}
	}
}

func (c *statcache) get(key [32]byte) (record, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load()
	r, ok := c.records[key]
	return r, ok
}

// trusts reports whether the file of this key and stamp was read and had the
// digest d, long enough after its last change for the stamp to say so.
func (c *statcache) trusts(key [32]byte, d Digest, st atomicfile.Stamp, window time.Duration) bool {
	r, ok := c.get(key)
	return ok && r.digest == d && r.stamp == st && !st.Racy(r.readNS, int64(window))
}

func (c *statcache) put(r record) {
	c.mu.Lock()
	c.load()
	if old, ok := c.records[r.key]; ok && old == r {
		c.mu.Unlock()
		return
	}
	c.records[r.key] = r
	c.pending[r.key] = struct{}{}
	full := len(c.pending) >= flushEvery
	c.mu.Unlock()
	if full {
		c.flush()
	}
}

// fresh returns the keys of the pending records that are racy.
func (c *statcache) fresh(window time.Duration) []record {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []record
	for key := range c.pending {
		if r := c.records[key]; r.stamp.Racy(r.readNS, int64(window)) {
			out = append(out, r)
		}
	}
	return out
}

// flush writes down what is new.
func (c *statcache) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 && !c.damaged || c.s.o.ReadOnly {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	l, err := c.s.lock(ctx, "statcache", atomicfile.Exclusive)
	if err != nil {
		return
	}
	if c.write() == nil {
		clear(c.pending)
		c.damaged = false
	}
	_ = l.Unlock()
}

// write appends the pending records, or writes the file anew when most of it
// is replaced or damaged. The caller holds c.mu and the lock.
func (c *statcache) write() error {
	keys := make([][32]byte, 0, len(c.pending))
	for k := range c.pending {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	var b []byte
	for _, k := range keys {
		b = c.records[k].append(b)
	}
	info, err := os.Stat(c.path())
	if err == nil && !c.damaged && info.Size()%recordSize == 0 && info.Size() < int64(4*len(c.records)*recordSize)+statSlack {
		return c.s.appendFile(c.path(), info.Size(), b)
	}
	return c.rewrite(func(record) bool { return true })
}

// appendFile adds b to a cache's file of the given size, whole or not at all,
// unless the process is killed in the middle.
func (s *Store) appendFile(path string, size int64, b []byte) error {
	f, err := s.fs.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err != nil {
		err = errors.Join(err, f.Truncate(size)) // on a full disk there is room for that
	}
	return errors.Join(err, f.Close())
}

// rewrite merges what is on disk, which others may have added to, with what is
// here, and keeps the records that keep approves. The caller holds c.mu and
// the lock.
func (c *statcache) rewrite(keep func(record) bool) error {
	merged := map[[32]byte]record{}
	records, _, err := c.read()
	if err != nil {
		return fmt.Errorf("read statcache: %w", err)
	}
	for _, r := range records {
		merged[r.key] = r
	}
	for k := range c.pending {
		merged[k] = c.records[k]
	}
	keys := make([][32]byte, 0, len(merged))
	for k, r := range merged {
		if keep(r) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	b := make([]byte, 0, len(keys)*recordSize)
	for _, k := range keys {
		b = merged[k].append(b)
	}
	return atomicfile.WriteFileFS(c.s.fs, c.path(), b, 0o644)
}

// prune rewrites the file with the records that keep approves.
func (c *statcache) prune(ctx context.Context, keep func(record) bool) error {
	l, err := c.s.lock(ctx, "statcache", atomicfile.Exclusive)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load()
	err = c.rewrite(keep)
	for k, r := range c.records {
		if !keep(r) {
			delete(c.records, k)
		}
	}
	if err == nil {
		clear(c.pending)
		c.damaged = false
	}
	return errors.Join(err, l.Unlock())
}

// confirmFresh reads back the objects that were written too short a time
// before their stamp was taken, as many at once as there are processors: nothing
// else is left to do by then.
func (s *Store) confirmFresh() {
	fresh := s.cache.fresh(objectWindow)
	errs := make([]error, len(fresh))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, r := range fresh {
		if Digest(r.key) == r.digest {
			g.Go(func() error {
				errs[i] = s.check(r.digest)
				return nil
			})
		}
	}
	_ = g.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, ErrNotFound) {
			s.damaged(err)
		}
	}
}
