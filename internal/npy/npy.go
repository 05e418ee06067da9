// Package npy reads and writes NumPy's array files (.npy, and .npz archives of
// them), the format that reference values and exported columns come in.
//
// A file is a magic string, a version, the length of a header, the header (a
// Python dictionary literal naming dtype, order and shape) and the numbers.
// Only plain numeric arrays are read: object arrays hold pickles, which are
// programs, and are refused unread. Format: numpy/lib/format.py, NEP 1.
package npy

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/x448/float16"
)

// MaxElements bounds the number of elements that Read accepts, so that a lying
// header cannot ask for more memory than a file could fill.
const MaxElements = 1 << 30

const maxHeader = 1 << 16

var magic = []byte("\x93NUMPY")

// An Array is an n-dimensional array in C order, its elements widened to
// float64 whatever their dtype was (int64 beyond 2^53 loses its last bits).
type Array struct {
	Shape []int
	Descr string // dtype as the file gives it, such as "<f4"
	F64   []float64
}

// F32 returns the elements as a new slice of float32.
func (a *Array) F32() []float32 {
	out := make([]float32, len(a.F64))
	for i, v := range a.F64 {
		out[i] = float32(v)
	}
	return out
}

// ReadFile reads the .npy file at path, which must hold nothing else.
func ReadFile(path string) (*Array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a, err := Read(f)
	if err == nil {
		var more [1]byte
		if n, _ := f.Read(more[:]); n > 0 {
			err = fmt.Errorf("npy: there is more in the file than an array of shape %v: it is damaged", a.Shape)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return a, nil
}

// Read reads one .npy array from r. It takes no more memory than the bytes
// that r really delivers ask for.
func Read(r io.Reader) (*Array, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	n := 1
	for _, d := range h.shape {
		if d != 0 && n > MaxElements/d {
			return nil, fmt.Errorf("npy: shape %v is over the limit of %d elements", h.shape, MaxElements)
		}
		n *= d
	}
	dec, ok := decoders[h.descr[1:]]
	if !ok || !strings.ContainsAny(h.descr[:1], "<>|=") {
		return nil, fmt.Errorf("npy: dtype %q is not a plain number", h.descr)
	}
	raw, err := io.ReadAll(io.LimitReader(r, int64(n)*int64(dec.size)))
	if err != nil {
		return nil, err
	}
	if len(raw) != n*dec.size {
		return nil, fmt.Errorf("npy: truncated: %d of %d bytes of data", len(raw), n*dec.size)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if h.descr[0] == '>' {
		order = binary.BigEndian
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = dec.get(order, raw[i*dec.size:])
	}
	if h.fortran {
		out = toC(out, h.shape)
	}
	return &Array{Shape: h.shape, Descr: h.descr, F64: out}, nil
}

type decoder struct {
	size int
	get  func(binary.ByteOrder, []byte) float64
}

var decoders = map[string]decoder{
	"b1": {1, func(_ binary.ByteOrder, b []byte) float64 { return float64(b[0]) }},
	"u1": {1, func(_ binary.ByteOrder, b []byte) float64 { return float64(b[0]) }},
	"i1": {1, func(_ binary.ByteOrder, b []byte) float64 { return float64(int8(b[0])) }},
	"u2": {2, func(o binary.ByteOrder, b []byte) float64 { return float64(o.Uint16(b)) }},
	"i2": {2, func(o binary.ByteOrder, b []byte) float64 { return float64(int16(o.Uint16(b))) }},
	"f2": {2, func(o binary.ByteOrder, b []byte) float64 { return float64(float16.Frombits(o.Uint16(b)).Float32()) }},
	"u4": {4, func(o binary.ByteOrder, b []byte) float64 { return float64(o.Uint32(b)) }},
	"i4": {4, func(o binary.ByteOrder, b []byte) float64 { return float64(int32(o.Uint32(b))) }},
	"f4": {4, func(o binary.ByteOrder, b []byte) float64 { return float64(math.Float32frombits(o.Uint32(b))) }},
	"u8": {8, func(o binary.ByteOrder, b []byte) float64 { return float64(o.Uint64(b)) }},
	"i8": {8, func(o binary.ByteOrder, b []byte) float64 { return float64(int64(o.Uint64(b))) }},
	"f8": {8, func(o binary.ByteOrder, b []byte) float64 { return math.Float64frombits(o.Uint64(b)) }},
}

type header struct {
	descr   string
	fortran bool
	shape   []int
}

var (
	descrRE   = regexp.MustCompile(`['"]descr['"]\s*:\s*['"]([^'"]{2,8})['"]`)
	fortranRE = regexp.MustCompile(`['"]fortran_order['"]\s*:\s*(True|False)`)
	shapeRE   = regexp.MustCompile(`['"]shape['"]\s*:\s*\(([0-9,\sL]*)\)`)
)

func readHeader(r io.Reader) (*header, error) {
	var pre [8]byte
	if _, err := io.ReadFull(r, pre[:]); err != nil {
		return nil, fmt.Errorf("npy: no header: %w", err)
	}
	if !bytes.Equal(pre[:6], magic) {
		return nil, errors.New("npy: not a .npy file (bad magic)")
	}
	n, err := headerLen(r, pre[6])
	if err != nil {
		return nil, err
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("npy: truncated header: %w", err)
	}
	return parseHeader(string(text))
}

func headerLen(r io.Reader, version byte) (int, error) {
	size := 2
	switch version {
	case 1:
	case 2, 3:
		size = 4
	default:
		return 0, fmt.Errorf("npy: format version %d is unknown", version)
	}
	var b [4]byte
	if _, err := io.ReadFull(r, b[:size]); err != nil {
		return 0, fmt.Errorf("npy: truncated header: %w", err)
	}
	n := binary.LittleEndian.Uint32(b[:]) // the unread upper half of a version 1 length is zero
	if n > maxHeader {
		return 0, fmt.Errorf("npy: header of %d bytes is over the limit of %d", n, maxHeader)
	}
	return int(n), nil
}

// only is the match of an entry that is there once: of two, Python takes the last.
func only(re *regexp.Regexp, text string) []string {
	if m := re.FindAllStringSubmatch(text, 2); len(m) == 1 {
		return m[0]
	}
	return nil
}

func parseHeader(text string) (*header, error) {
	descr, fortran, shape := only(descrRE, text), only(fortranRE, text), only(shapeRE, text)
	if descr == nil || fortran == nil || shape == nil {
		return nil, fmt.Errorf("npy: header %.80q lacks a plain descr, fortran_order or shape, or has two", text)
	}
	h := &header{descr: descr[1], fortran: fortran[1] == "True", shape: []int{}}
	for _, s := range strings.Split(shape[1], ",") {
		s = strings.TrimSuffix(strings.TrimSpace(s), "L") // Python 2 wrote 3L
		if s == "" {
			continue
		}
		d, err := strconv.Atoi(s)
		if err != nil || d > MaxElements {
			return nil, fmt.Errorf("npy: dimension %q is out of range", s)
		}
		h.shape = append(h.shape, d)
	}
	if len(h.shape) > 32 { // NumPy's own limit
		return nil, fmt.Errorf("npy: %d dimensions, at most 32", len(h.shape))
	}
	return h, nil
}

// toC reorders x from Fortran (first index fastest) to C order.
func toC(x []float64, shape []int) []float64 {
	out := make([]float64, len(x))
	index := make([]int, len(shape))
	for i := range out {
		src, stride := 0, 1
		for d, k := range index {
			src += k * stride
			stride *= shape[d]
		}
		out[i] = x[src]
		for d := len(index) - 1; d >= 0; d-- {
			if index[d]++; index[d] < shape[d] {
				break
			}
			index[d] = 0
		}
	}
	return out
}

// ReadZip reads every .npy member of the .npz archive at path, keyed by name
// without its suffix.
func ReadZip(path string) (map[string]*Array, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer z.Close()
	out := make(map[string]*Array, len(z.File))
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("read %s: %s: %w", path, f.Name, err)
		}
		a, err := Read(r)
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %s: %w", path, f.Name, err)
		}
		out[name] = a
	}
	return out, nil
}

// Write writes data, which must hold as many elements as shape says, as a
// version 1.0 .npy array. Taken: []float32, []float64, []uint8, []int16,
// []int32, []int64, and []uint16, whose elements are the bits of float16.
func Write(w io.Writer, shape []int, data any) error {
	descr, n := "", 0
	switch d := data.(type) {
	case []float32:
		descr, n = "<f4", len(d)
	case []float64:
		descr, n = "<f8", len(d)
	case []uint8:
		descr, n = "|u1", len(d)
	case []int16:
		descr, n = "<i2", len(d)
	case []int32:
		descr, n = "<i4", len(d)
	case []int64:
		descr, n = "<i8", len(d)
	case []uint16:
		descr, n = "<f2", len(d)
	default:
		return fmt.Errorf("npy: cannot write %T", data)
	}
	want, dims := 1, ""
	for _, s := range shape {
		want *= s
		dims += strconv.Itoa(s) + ", "
	}
	if want != n {
		return fmt.Errorf("npy: shape %v asks for %d elements, data has %d", shape, want, n)
	}
	if len(shape) > 1 {
		dims = strings.TrimSuffix(dims, ", ")
	}
	h := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, strings.TrimSuffix(dims, " "))
	pad := 64 - (len(magic)+4+len(h)+1)%64 // NumPy aligns the data to 64 bytes
	h += strings.Repeat(" ", pad%64) + "\n"
	head := append(append([]byte{}, magic...), 1, 0, byte(len(h)), byte(len(h)>>8))
	if _, err := w.Write(append(head, h...)); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, data)
}
