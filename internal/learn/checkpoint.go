package learn

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// A checkpoint holds all that training is at a step. On disk:
//
//	24 bytes  "hearsight checkpoint 1\n\n"
//	 4 bytes  length n of the header, little-endian
//	 n bytes  JSON: checkpointHeader
//	 …        the curve, then the tensors: float64 and float32 bits, little-endian
//	32 bytes  SHA-256 of everything before
type checkpoint struct {
	header  checkpointHeader
	curve   []CurvePoint
	tensors []tensor
}

type checkpointHeader struct {
	Key      string   `json:"key"`  // what is trained on what; another run's checkpoint is not taken
	Step     int64    `json:"step"` // steps done
	Loss     loss     `json:"loss"`
	Best     best     `json:"best"`
	Curve    int      `json:"curve"` // points
	Tensors  []string `json:"tensors"`
	Elements []int    `json:"elements"` // of each tensor
}

type tensor struct {
	name string
	data []float32 // the live values: written from, read into
}

const (
	checkpointMagic     = "hearsight checkpoint 1\n\n"
	checkpointMaxHeader = 1 << 20
	checkpointPrefix    = "checkpoint-"
	checkpointsKept     = 2
	curveColumns        = 8
)

func checkpointName(step int64) string { return fmt.Sprintf("%s%012d", checkpointPrefix, step) }

// save writes the checkpoint into dir, whole or not at all, and removes those
// before the last.
func (c *checkpoint) save(dir string) (err error) {
	path := filepath.Join(dir, checkpointName(c.header.Step))
	f, err := atomicfile.Create(path, 0o644)
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<18)
	if err := c.write(w); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if _, err := f.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	names, err := checkpoints(dir)
	if err != nil {
		return err
	}
	for _, old := range names[min(checkpointsKept, len(names)):] {
		if err := os.Remove(filepath.Join(dir, old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove old checkpoint: %w", err)
		}
	}
	return nil
}

func (c *checkpoint) write(w io.Writer) error {
	h := c.header
	h.Curve, h.Tensors, h.Elements = len(c.curve), nil, nil
	for _, t := range c.tensors {
		h.Tensors, h.Elements = append(h.Tensors, t.name), append(h.Elements, len(t.data))
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	head := binary.LittleEndian.AppendUint32([]byte(checkpointMagic), uint32(len(text)))
	if _, err := w.Write(append(head, text...)); err != nil {
		return err
	}
	for _, p := range c.curve {
		if err := binary.Write(w, binary.LittleEndian, p.columns()); err != nil {
			return err
		}
	}
	var buf [1 << 14]byte
	for _, t := range c.tensors {
		for x := t.data; len(x) > 0; {
			n := min(len(x), len(buf)/4)
			for i, v := range x[:n] {
				binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
			}
			if _, err := w.Write(buf[:4*n]); err != nil {
				return err
			}
			x = x[n:]
		}
	}
	return nil
}

// restore reads the newest good checkpoint of this key in dir into c's tensors.
// Damaged ones and those of other runs are passed over; skipped says which and
// why. ok is false if there is none.
func (c *checkpoint) restore(dir string) (ok bool, skipped []string, err error) {
	names, err := checkpoints(dir)
	if err != nil {
		return false, nil, err
	}
	for _, name := range names {
		err := c.load(filepath.Join(dir, name))
		if err == nil {
			return true, skipped, nil
		}
		skipped = append(skipped, fmt.Sprintf("%s: %v", name, err))
	}
	return false, skipped, nil
}

// checkpoints lists the checkpoints of dir, newest first.
func checkpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var names []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), checkpointPrefix)
		if ok && len(rest) == 12 && strings.Trim(rest, "0123456789") == "" {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// load reads a file in two passes: nothing of c changes before the checksum was
// right.
func (c *checkpoint) load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	body := info.Size() - sha256.Size
	if body < 0 {
		return errors.New("too short")
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, body)); err != nil {
		return err
	}
	if err := checkSum(sum, f, body); err != nil {
		return err
	}
	return c.read(io.NewSectionReader(f, 0, body), body)
}

func checkSum(sum hash.Hash, f io.ReaderAt, at int64) error {
	want := make([]byte, sha256.Size)
	if _, err := f.ReadAt(want, at); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return errors.New("damaged: its checksum is wrong")
	}
	return nil
}

// read parses size bytes; nothing of c changes unless all of them fit.
func (c *checkpoint) read(r io.Reader, size int64) error {
	in := bufio.NewReaderSize(r, 1<<18)
	h, n, err := readHeader(in)
	if err != nil {
		return err
	}
	if h.Key != c.header.Key {
		return errors.New("of another run")
	}
	if h.Step < 0 || h.Curve < 0 || int64(h.Curve) > size || len(h.Tensors) != len(c.tensors) || len(h.Elements) != len(h.Tensors) {
		return errors.New("header does not fit the model")
	}
	want := n + int64(h.Curve)*curveColumns*8
	for i, t := range c.tensors {
		if h.Tensors[i] != t.name || h.Elements[i] != len(t.data) {
			return fmt.Errorf("tensor %q of %d does not fit the model's %s of %d", h.Tensors[i], h.Elements[i], t.name, len(t.data))
		}
		want += 4 * int64(len(t.data))
	}
	if want != size {
		return fmt.Errorf("%d bytes, want %d", size, want)
	}
	curve := make([]CurvePoint, 0, h.Curve)
	for range h.Curve {
		var col [curveColumns]float64
		if err := binary.Read(in, binary.LittleEndian, &col); err != nil {
			return err
		}
		curve = append(curve, pointOf(col))
	}
	for _, t := range c.tensors {
		if err := readFloats(in, t.data); err != nil {
			return err
		}
	}
	c.header, c.curve = h, curve
	return nil
}

// readHeader returns the header and the bytes read so far.
func readHeader(in io.Reader) (h checkpointHeader, n int64, err error) {
	head := make([]byte, len(checkpointMagic)+4)
	if _, err := io.ReadFull(in, head); err != nil || string(head[:len(checkpointMagic)]) != checkpointMagic {
		return h, 0, errors.New("not a checkpoint")
	}
	size := binary.LittleEndian.Uint32(head[len(checkpointMagic):])
	if size > checkpointMaxHeader {
		return h, 0, fmt.Errorf("header of %d bytes is over the limit of %d", size, checkpointMaxHeader)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(in, text); err != nil {
		return h, 0, fmt.Errorf("header: %w", err)
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, 0, fmt.Errorf("header: %w", err)
	}
	return h, int64(len(head)) + int64(size), nil
}

func readFloats(in io.Reader, dst []float32) error {
	var buf [1 << 14]byte
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/4)
		if _, err := io.ReadFull(in, buf[:4*n]); err != nil {
			return err
		}
		for i := range n {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:]))
		}
		dst = dst[n:]
	}
	return nil
}
