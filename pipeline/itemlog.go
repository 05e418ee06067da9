package pipeline

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/atomicfile"
)

// An itemLog keeps the items that a shard under way has finished, so that an
// interruption loses none of them. It is a file of records, appended to as
// items finish, in any order:
//
//	4 bytes  length n of the body, little endian
//	4 bytes  CRC-32C of the body
//	n bytes  the body: 32 bytes item key, 1 byte kind ('r' row, 'x' rejected), the row or the reason
//
// An item's key holds all that decides its row, so a record is right for as
// long as its key is asked for, whatever else has changed in between. A record
// that is not whole, and all that follows it, is cut off when the log is
// opened. Safe for concurrent use.
type itemLog struct {
	mu      sync.Mutex
	w       atomicfile.File // appends to it
	r       *os.File        // reads it
	err     error           // first failure to add: what is added after it would be lost
	cut     int64           // bytes at its end that were not whole when it was opened
	end     int64
	found   map[artifacts.Digest]logged
	pending int
	synced  time.Time
}

// logged is where a finished item's row lies, or why it was rejected.
type logged struct {
	off    int64 // of the body
	size   int
	reject string
	isRow  bool
}

const (
	logRecordHead = 8
	logBodyHead   = 33
	maxLogRecord  = 1 << 30 // rows are far smaller; a larger length is damage
)

// openItemLog opens the log at path and reads which items it holds.
func openItemLog(fsys atomicfile.FS, path string, now time.Time) (*itemLog, error) {
	w, err := fsys.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of finished items: %w", err)
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open log of finished items: %w", err), w.Close())
	}
	l := &itemLog{w: w, r: r, found: make(map[artifacts.Digest]logged), synced: now}
	if err := l.scan(); err != nil {
		return nil, errors.Join(fmt.Errorf("read log of finished items: %w", err), l.close())
	}
	return l, nil
}

// scan reads the records and cuts the file after the last whole one.
func (l *itemLog) scan() error {
	st, err := l.r.Stat()
	if err != nil {
		return err
	}
	br := bufio.NewReaderSize(l.r, 256<<10)
	var body []byte
	for {
		var head [logRecordHead]byte
		if _, err := io.ReadFull(br, head[:]); err != nil {
			break // the end, or half a head
		}
		n := int64(binary.LittleEndian.Uint32(head[:]))
		if n < logBodyHead || n > maxLogRecord || n > st.Size()-l.end-logRecordHead {
			break
		}
		body = append(body[:0], make([]byte, n)...)
		if _, err := io.ReadFull(br, body); err != nil {
			break
		}
		if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			break
		}
		if !l.index(body, l.end+logRecordHead) {
			break
		}
		l.end += logRecordHead + n
	}
	if l.cut = st.Size() - l.end; l.cut == 0 {
		return nil
	}
	return l.w.Truncate(l.end)
}

// index remembers the record whose body, which lies at off, is given.
func (l *itemLog) index(body []byte, off int64) bool {
	key, rest := artifacts.Digest(body[:32]), body[logBodyHead:]
	switch body[32] {
	case 'r':
		l.found[key] = logged{off: off, size: len(body), isRow: true}
	case 'x':
		l.found[key] = logged{reject: string(rest)}
	default:
		return false
	}
	return true
}

// add appends the row of the item with the given key, or the reason of its
// rejection if row is nil.
func (l *itemLog) add(key artifacts.Digest, row []byte, reject string, now time.Time) error {
	kind, data := byte('r'), row
	if row == nil {
		kind, data = 'x', []byte(reject)
	}
	rec := make([]byte, logRecordHead+logBodyHead, logRecordHead+logBodyHead+len(data))
	copy(rec[logRecordHead:], key[:])
	rec[logRecordHead+32] = kind
	rec = append(rec, data...)
	body := rec[logRecordHead:]
	if len(body) > maxLogRecord {
		return fmt.Errorf("a row of %d bytes is too large", len(row))
	}
	binary.LittleEndian.PutUint32(rec, uint32(len(body)))
	binary.LittleEndian.PutUint32(rec[4:], crc32.Checksum(body, castagnoli))

	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if _, err := l.w.Write(rec); err != nil {
		l.err = fmt.Errorf("log finished item: %w", err)
		return l.err
	}
	l.index(body, l.end+logRecordHead)
	l.end += int64(len(rec))
	if l.pending++; l.pending >= syncRecords || now.Sub(l.synced) >= syncInterval {
		l.pending, l.synced = 0, now
		if err := l.w.Sync(); err != nil {
			l.err = fmt.Errorf("log finished item: %w", err)
			return l.err
		}
	}
	return nil
}

// get returns what is known of the item with the given key.
func (l *itemLog) get(key artifacts.Digest) (logged, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.found[key]
	return e, ok
}

// row reads the encoded row of an entry again and checks that it is still
// that of key. The CRC was checked when it was written or found, in this
// process; the key is compared so that a mixed-up offset cannot go unnoticed.
func (l *itemLog) row(key artifacts.Digest, e logged) ([]byte, error) {
	rec := make([]byte, 4+e.size)
	if _, err := l.r.ReadAt(rec, e.off-4); err != nil {
		return nil, fmt.Errorf("read log of finished items: %w", err)
	}
	body := rec[4:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(rec) || !bytes.Equal(body[:32], key[:]) {
		return nil, errors.New("read log of finished items: a record was damaged")
	}
	return body[logBodyHead:], nil
}

func (l *itemLog) close() error { return errors.Join(l.w.Close(), l.r.Close()) }

// A lastResultError is a last result that turned out not to be readable.
type lastResultError struct{ err error }

func (e *lastResultError) Error() string { return "read last result: " + e.err.Error() }

func (e *lastResultError) Unwrap() error { return e.err }

// oldRows walks once through the rows of the shard's last result.
type oldRows struct {
	m    *making
	f    *os.File
	next func() (any, error, bool)
	stop func()
}

// row returns the row called id, which comes after those asked for before.
func (o *oldRows) row(id string) (any, error) {
	if o.next == nil {
		if err := o.open(); err != nil {
			return nil, &lastResultError{err}
		}
	}
	for {
		row, err, ok := o.next()
		if err != nil {
			return nil, &lastResultError{err}
		}
		if !ok {
			return nil, &lastResultError{fmt.Errorf("it has no row %s", oneLine(id))}
		}
		if o.m.t.table.ID(row) == id {
			return row, nil
		}
	}
}

func (o *oldRows) open() error {
	parts := o.m.was.Parts(o.m.t.table.Schema())
	if len(parts) != 1 {
		return errors.New("it has no rows")
	}
	f, err := o.m.was.Open(parts[0])
	if err != nil {
		return err
	}
	o.f = f
	o.next, o.stop = iter.Pull2(o.m.t.table.Rows(f, parts[0].Size))
	return nil
}

func (o *oldRows) close() {
	if o.stop != nil {
		o.stop()
	}
	if o.f != nil {
		o.f.Close()
	}
}
