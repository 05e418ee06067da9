package tool

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A request goes from us to the supervisor. It starts a command, unless Signal
// or Holders say otherwise. The files that a command gets are sent along.
type request struct {
	ID uint64 // of the command, given by us and used once

	Path                         string   // absolute, or below Dir
	Args                         []string // with the name that the command is called by
	Dir                          string
	Env                          []string
	Stdin                        bool // a file for stdin comes before those for stdout and stderr
	MaxFileBytes, MaxMemoryBytes int64

	Signal  int    // sent to the command's group
	Holders uint64 // inode of a pipe: whoever holds it is to be killed
}

// check refuses what the system would, and what no frame holds.
func (r *request) check() error {
	n := len(r.Path) + len(r.Dir)
	for _, s := range slices.Concat(r.Args, r.Env) {
		n += len(s) + 16
		if strings.IndexByte(s, 0) >= 0 {
			return syscall.EINVAL
		}
	}
	if n > maxFrame/2 {
		return syscall.E2BIG
	}
	return nil
}

// A reply tells what became of the command ID.
type reply struct {
	ID      uint64
	Errno   int // it could not be started
	Status  syscall.WaitStatus
	CPU     time.Duration // of the command and the children it waited for
	MaxRSS  int64         // bytes, of the largest process
	OverRAM int64         // it was killed for using so many bytes
}

// A frame on the socket is
//
//	4  length of the rest, big-endian
//	…  a gob value; the types are sent with the first of a kind
//
// The descriptors of a request travel with its first byte.
const (
	frameHead = 4
	maxFrame  = 64 << 20 // arguments and environment: most systems take 2 MiB
	maxFiles  = 3
)

// An encoder makes frames.
type encoder struct {
	buf bytes.Buffer
	gob *gob.Encoder
}

func newEncoder() *encoder {
	e := &encoder{}
	e.gob = gob.NewEncoder(&e.buf)
	return e
}

// frame returns v as a frame, which is good until the next call.
func (e *encoder) frame(v any) ([]byte, error) {
	e.buf.Reset()
	e.buf.Write(make([]byte, frameHead))
	if err := e.gob.Encode(v); err != nil {
		return nil, err
	}
	b := e.buf.Bytes()
	binary.BigEndian.PutUint32(b, uint32(len(b)-frameHead))
	return b, nil
}

// A decoder reads frames. recv reads the first bytes of one, and descriptors.
type decoder struct {
	recv func(b []byte) (n int, files []int, err error)
	rest io.Reader
	buf  bytes.Buffer
	gob  *gob.Decoder
}

func newDecoder(recv func([]byte) (int, []int, error), rest io.Reader) *decoder {
	d := &decoder{recv: recv, rest: rest}
	d.gob = gob.NewDecoder(&d.buf)
	return d
}

// next reads a frame into v and returns the descriptors that came with it. At
// the end of the socket the error is io.EOF.
func (d *decoder) next(v any) (files []int, err error) {
	defer func() {
		if err != nil {
			closeAll(files)
			files = nil
		}
	}()
	var head [frameHead]byte
	for got := 0; got < len(head); {
		n, more, err := d.recv(head[got:])
		files = append(files, more...)
		if err != nil {
			return files, err
		}
		if n == 0 {
			return files, io.EOF
		}
		got += n
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return files, fmt.Errorf("a message of %d bytes is too long", n)
	}
	d.buf.Reset()
	if _, err := io.CopyN(&d.buf, d.rest, int64(n)); err != nil {
		return files, errors.Join(io.ErrUnexpectedEOF, err)
	}
	if err := d.gob.Decode(v); err != nil {
		return files, err
	}
	if d.buf.Len() > 0 {
		return files, errors.New("a message is longer than what it says")
	}
	return files, nil
}

func closeAll(files []int) {
	for _, f := range files {
		_ = syscall.Close(f) // ours alone: there is nothing to lose
	}
}
