// Package ipcmeta reads the skeleton of an Arrow IPC file: where its record
// batches lie, how many rows they have and which bytes are which buffer.
//
// The Arrow library trusts these numbers: on a damaged file it asks for as much
// memory as they say, or slices out of range. Parse checks each of them against
// the file's size first, so that a file it accepts can be handed on, and so that
// a single column can be read without the rest of its batch.
//
// Layout (Arrow columnar format 1.4, "IPC File Format"; File.fbs, Message.fbs):
//
//	"ARROW1\0\0" | messages | footer (flatbuffer) | int32 its length | "ARROW1"
//	message: 0xFFFFFFFF | int32 n | n bytes of flatbuffer, padded | body
package ipcmeta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A File is the skeleton of an Arrow IPC file.
type File struct {
	Batches      []Batch
	Dictionaries int // number of dictionary batches; these are not looked into
}

// A Batch is one record batch.
type Batch struct {
	Rows       int64
	Compressed bool
	Nodes      []Node // one per field, depth first
	Buffers    []Span // as the fields' types ask for, depth first
}

// A Node is the length and number of nulls of one field in a batch.
type Node struct{ Rows, Nulls int64 }

// A Span is a range of the file's bytes.
type Span struct{ Offset, Len int64 }

// Limits on the skeleton itself. Batches of this project's files have some
// 600 bytes of metadata; the limit is for wide tables from elsewhere.
const (
	maxFooter   = 64 << 20
	maxMetadata = 4 << 20
)

const magic = "ARROW1"

var errTruncated = errors.New("arrow file is truncated or damaged")

// Parse reads the skeleton of the file of size bytes in r. It returns an error,
// and never panics, if any offset or length points outside the file.
func Parse(r io.ReaderAt, size int64) (*File, error) {
	footer, end, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	root, err := rootTable(footer)
	if err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	schema, err := root.table(1)
	if err == nil {
		err = checkSchema(schema)
	}
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	dicts, err := root.structs(2, 24)
	if err != nil {
		return nil, fmt.Errorf("footer: dictionaries: %w", err)
	}
	blocks, err := root.structs(3, 24)
	if err != nil {
		return nil, fmt.Errorf("footer: record batches: %w", err)
	}
	f := &File{Dictionaries: len(dicts) / 24, Batches: make([]Batch, len(blocks)/24)}
	for i := range f.Dictionaries {
		if _, err := parseBlock(dicts[24*i:], end); err != nil {
			return nil, fmt.Errorf("dictionary %d: %w", i, err)
		}
	}
	for i := range f.Batches {
		b, err := parseBlock(blocks[24*i:], end)
		if err == nil {
			f.Batches[i], err = readBatch(r, b)
		}
		if err != nil {
			return nil, fmt.Errorf("record batch %d: %w", i, err)
		}
	}
	return f, nil
}

func readFooter(r io.ReaderAt, size int64) (footer []byte, end int64, err error) {
	if size < 8+4+6 {
		return nil, 0, errTruncated
	}
	var head [6]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, 0, err
	}
	if string(head[:]) != magic {
		return nil, 0, errors.New("not an Arrow IPC file (bad magic)")
	}
	var tail [10]byte
	if _, err := r.ReadAt(tail[:], size-10); err != nil {
		return nil, 0, err
	}
	n := int64(int32(binary.LittleEndian.Uint32(tail[:])))
	if string(tail[4:]) != magic || n <= 0 || n > size-18 || n > maxFooter {
		return nil, 0, errTruncated
	}
	end = size - 10 - n
	footer = make([]byte, n)
	_, err = r.ReadAt(footer, end)
	return footer, end, err
}

type block struct{ offset, meta, body int64 }

// parseBlock reads a Block struct (offset int64, metaDataLength int32, padding,
// bodyLength int64) whose message must end before end.
func parseBlock(b []byte, end int64) (block, error) {
	k := block{
		offset: int64(binary.LittleEndian.Uint64(b)),
		meta:   int64(int32(binary.LittleEndian.Uint32(b[8:]))),
		body:   int64(binary.LittleEndian.Uint64(b[16:])),
	}
	if k.offset < 8 || k.meta < 8 || k.body < 0 || k.meta > maxMetadata ||
		k.offset > end || k.meta > end-k.offset || k.body > end-k.offset-k.meta {
		return k, errTruncated
	}
	return k, nil
}

func readBatch(r io.ReaderAt, k block) (Batch, error) {
	var b Batch
	meta := make([]byte, k.meta)
	if _, err := r.ReadAt(meta, k.offset); err != nil {
		return b, err
	}
	skip := int64(4) // before format 0.15 there was no continuation marker
	if binary.LittleEndian.Uint32(meta) == 0xFFFFFFFF {
		skip = 8
	}
	// The library reads the flatbuffer at this very place and trusts the size.
	if n := int64(binary.LittleEndian.Uint32(meta[skip-4:])); n > k.meta-skip {
		return b, errTruncated
	}
	msg, err := rootTable(meta[skip:])
	if err != nil {
		return b, err
	}
	const recordBatch = 3 // MessageHeader
	if kind, err := msg.scalar(1, 1); err != nil || kind != recordBatch {
		return b, fmt.Errorf("message is not a record batch: %w", errTruncated)
	}
	if n, err := msg.scalar(3, 8); err != nil || n > k.body {
		return b, errTruncated
	}
	rb, err := msg.table(2)
	if err != nil {
		return b, err
	}
	return parseBatch(rb, k)
}

func parseBatch(rb table, k block) (b Batch, err error) {
	if b.Rows, err = rb.scalar(0, 8); err != nil || b.Rows < 0 {
		return b, errTruncated
	}
	nodes, err := rb.structs(1, 16)
	if err != nil {
		return b, err
	}
	buffers, err := rb.structs(2, 16)
	if err != nil {
		return b, err
	}
	b.Compressed = rb.has(3)
	for ; len(nodes) > 0; nodes = nodes[16:] {
		n := Node{int64(binary.LittleEndian.Uint64(nodes)), int64(binary.LittleEndian.Uint64(nodes[8:]))}
		if n.Rows < 0 || n.Nulls < 0 || n.Nulls > n.Rows {
			return b, errTruncated
		}
		b.Nodes = append(b.Nodes, n)
	}
	for ; len(buffers) > 0; buffers = buffers[16:] {
		off, n := int64(binary.LittleEndian.Uint64(buffers)), int64(binary.LittleEndian.Uint64(buffers[8:]))
		if off < 0 || n < 0 || off > k.body || n > k.body-off {
			return b, errTruncated
		}
		b.Buffers = append(b.Buffers, Span{k.offset + k.meta + off, n})
	}
	return b, nil
}
