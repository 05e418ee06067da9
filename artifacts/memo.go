package artifacts

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// A memo remembers what actions led to, so that asking for a thousand results
// that are all there costs two stats each and opens nothing. It is to actions
// and manifests what the statcache is to objects: a record holds as long as
// the stamps of both files are those they had when they were last read.
//
// On disk a record is, little-endian:
//
//	4   length n of the body
//	4   CRC-32C of the body
//	32  key of the action
//	32  digest of the manifest
//	48  stamp of the action file and the time it was read (ns)
//	48  the same of the manifest
//	…   the manifest: type, items, rejected, number of parts, and of each name,
//	    digest, size, rows, schema; numbers are varints, strings have their
//	    length before them
//
// Records are appended, a later one replaces an earlier one of the same key,
// and at the first that is not whole the file ends. Like the statcache it may
// be lost at any time.
type memo struct {
	s       *Store
	mu      sync.Mutex
	loaded  bool
	damaged bool                   // the file has an end that cannot be read: it is due to be written anew
	known   map[ActionKey][]byte   // body of each record
	pending map[ActionKey]struct{} // not on disk yet
	made    map[ActionKey]struct{} // committed here and not read back yet
}

const (
	memoHead  = 8
	memoFixed = 32 + 32 + 48 + 48
)

func newMemo(s *Store) *memo {
	return &memo{s: s, known: map[ActionKey][]byte{}, pending: map[ActionKey]struct{}{}, made: map[ActionKey]struct{}{}}
}

func (m *memo) path() string { return m.s.path("memo") }

// A reading is a file as it was when it was read.
type reading struct {
	stamp  atomicfile.Stamp
	readNS int64
}

// sure reports whether a file that has the stamp now still has the bytes that were read.
func (r reading) sure(now atomicfile.Stamp) bool {
	return now == r.stamp && !now.Racy(r.readNS, int64(objectWindow))
}

func (r reading) append(b []byte) []byte {
	for _, x := range []uint64{uint64(r.stamp.Size), uint64(r.stamp.ModifiedNS), uint64(r.stamp.ChangedNS),
		r.stamp.Inode, r.stamp.Device, uint64(r.readNS)} {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

func parseReading(b []byte) reading {
	n := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	return reading{readNS: int64(n(5)),
		stamp: atomicfile.Stamp{Size: int64(n(0)), ModifiedNS: int64(n(1)), ChangedNS: int64(n(2)), Inode: n(3), Device: n(4)}}
}

// load reads the file once. The caller holds m.mu.
func (m *memo) load() {
	if m.loaded {
		return
	}
	m.loaded = true
	known, damaged := m.read()
	m.damaged = damaged
	for k, body := range known {
		if _, ours := m.pending[k]; !ours {
			m.known[k] = body
		}
	}
}

// read returns the bodies of the file's whole records.
func (m *memo) read() (known map[ActionKey][]byte, damaged bool) {
	data, err := os.ReadFile(m.path())
	if err != nil {
		return nil, !errors.Is(err, fs.ErrNotExist)
	}
	known = make(map[ActionKey][]byte, len(data)/(memoFixed+100))
	for len(data) > 0 {
		body, rest, ok := cutMemo(data)
		if !ok {
			return known, true
		}
		known[ActionKey(body)] = body
		data = rest
	}
	return known, false
}

// cutMemo returns the body of the first record in data and what follows it.
func cutMemo(data []byte) (body, rest []byte, ok bool) {
	if len(data) < memoHead+memoFixed {
		return nil, nil, false
	}
	n := int64(binary.LittleEndian.Uint32(data))
	if n < memoFixed || n > int64(len(data)-memoHead) {
		return nil, nil, false
	}
	body = data[memoHead : memoHead+n : memoHead+n]
	return body, data[memoHead+n:], crc32.Checksum(body, castagnoli) == binary.LittleEndian.Uint32(data[4:])
}

func appendMemoManifest(b []byte, m Manifest) []byte {
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(m.Type)
	b = binary.AppendVarint(binary.AppendVarint(b, m.Items), m.Rejected)
	b = binary.AppendUvarint(b, uint64(len(m.Parts)))
	for _, p := range m.Parts {
		text(p.Name)
		b = append(b, p.Digest[:]...)
		b = binary.AppendVarint(binary.AppendVarint(b, p.Size), p.Rows)
		text(p.Schema)
	}
	return b
}

// parseMemoManifest reads what appendMemoManifest wrote.
func parseMemoManifest(b []byte) (m Manifest, ok bool) {
	c := memoReader{b: b, s: string(b), ok: true}
	m.Type = c.text()
	m.Items, m.Rejected = c.number(), c.number()
	n := c.length()
	if n > len(b)/35 { // a part takes more
		return m, false
	}
	m.Parts = make([]Part, n)
	for i := range m.Parts {
		p := &m.Parts[i]
		p.Name = c.text()
		if copy(p.Digest[:], c.b[c.at:]) < len(p.Digest) {
			return m, false
		}
		c.at += len(p.Digest)
		p.Size, p.Rows = c.number(), c.number()
		p.Schema = c.text()
	}
	return m, c.ok && c.at == len(b) && m.check() == nil
}

// A memoReader reads from b, of which s is a copy that strings may share.
type memoReader struct {
	b  []byte
	s  string
	at int
	ok bool
}

func (c *memoReader) number() int64 {
	x, n := binary.Varint(c.b[c.at:])
	c.ok = c.ok && n > 0
	c.at += max(n, 0)
	return x
}

func (c *memoReader) length() int {
	x, n := binary.Uvarint(c.b[c.at:])
	if c.at += max(n, 0); n <= 0 || x > uint64(len(c.b)-c.at) {
		c.ok = false
		return 0
	}
	return int(x)
}

func (c *memoReader) text() string {
	n := c.length()
	c.at += n
	return c.s[c.at-n : c.at]
}

// get returns the artifact that the action k is known to have led to, or nil.
func (m *memo) get(k ActionKey) *Artifact {
	m.mu.Lock()
	m.load()
	body, ok := m.known[k]
	m.mu.Unlock()
	if !ok {
		return nil
	}
	d := Digest(body[32:64])
	for i, path := range []string{m.s.actionPath(k), m.s.objectPath(d)} {
		info, err := os.Stat(path)
		if err != nil || !parseReading(body[64+48*i:]).sure(atomicfile.StampOf(info)) {
			return nil
		}
	}
	man, ok := parseMemoManifest(body[memoFixed:])
	if !ok {
		return nil
	}
	return &Artifact{Digest: d, Manifest: man, store: m.s}
}

// put remembers what reading an action and its manifest gave.
func (m *memo) put(k ActionKey, d Digest, action, manifest reading, man Manifest) {
	if m.s.o.ReadOnly {
		return
	}
	body := append(append(make([]byte, 0, memoFixed+100*(1+len(man.Parts))), k[:]...), d[:]...)
	body = appendMemoManifest(manifest.append(action.append(body)), man)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.load()
	delete(m.made, k)
	if old, ok := m.known[k]; ok && string(old) == string(body) {
		return
	}
	m.known[k] = body
	m.pending[k] = struct{}{}
}

// committed says that k was committed by this store: worth reading back once
// its file stands still.
func (m *memo) committed(k ActionKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made[k] = struct{}{}
}

// readBack reads the actions committed here, as a later run will, so that the
// next one need not.
func (m *memo) readBack() {
	m.mu.Lock()
	keys := make([]ActionKey, 0, len(m.made))
	for k := range m.made {
		keys = append(keys, k)
	}
	m.mu.Unlock()
	for _, k := range keys {
		_, _, _ = m.s.Action(k) // damage is told to OnDamage
	}
}

// flush writes down what is new. It is a cache: what cannot be written is kept.
func (m *memo) flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pending) == 0 && !m.damaged || m.s.o.ReadOnly {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	l, err := m.s.lock(ctx, "memo", atomicfile.Exclusive)
	if err != nil {
		return
	}
	if m.write() == nil {
		clear(m.pending)
		m.damaged = false
	}
	_ = l.Unlock()
}

// write appends the pending records, or writes the file anew when much of it
// is replaced or damaged. The caller holds m.mu and the lock.
func (m *memo) write() error {
	info, err := os.Stat(m.path())
	if err == nil && !m.damaged && info.Size() < int64(2*m.bytes())+statSlack {
		return m.s.appendFile(m.path(), info.Size(), m.records(m.pending))
	}
	known, _ := m.read() // others may have added to it
	for k, body := range known {
		if _, ours := m.known[k]; !ours {
			m.known[k] = body
		}
	}
	return m.rewrite()
}

func (m *memo) rewrite() error {
	all := make(map[ActionKey]struct{}, len(m.known))
	for k := range m.known {
		all[k] = struct{}{}
	}
	return atomicfile.WriteFileFS(m.s.fs, m.path(), m.records(all), 0o644)
}

// bytes is the size of a file of all known records.
func (m *memo) bytes() (n int) {
	for _, body := range m.known {
		n += memoHead + len(body)
	}
	return n
}

// records returns the records of the keys, in order.
func (m *memo) records(keys map[ActionKey]struct{}) []byte {
	order := make([]ActionKey, 0, len(keys))
	for k := range keys {
		order = append(order, k)
	}
	slices.SortFunc(order, func(a, b ActionKey) int { return slices.Compare(a[:], b[:]) })
	var b []byte
	for _, k := range order {
		body := m.known[k]
		b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
		b = append(b, body...)
	}
	return b
}

// prune forgets the actions that are no longer there.
func (m *memo) prune(ctx context.Context) error {
	l, err := m.s.lock(ctx, "memo", atomicfile.Exclusive)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.load()
	if len(m.known) == 0 && !m.damaged {
		return l.Unlock()
	}
	for k := range m.known {
		if _, err := os.Lstat(m.s.actionPath(k)); errors.Is(err, fs.ErrNotExist) {
			delete(m.known, k)
		}
	}
	if err = m.rewrite(); err == nil {
		clear(m.pending)
		m.damaged = false
	}
	return errors.Join(err, l.Unlock())
}
