package model

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/nlpodyssey/safetensors"
	"github.com/x448/float16"
)

// maxHeader bounds the JSON header of a safetensors file before it is parsed:
// a thousand tensors take 100 KB.
const maxHeader = 4 << 20

// Tensors are the tensors of a safetensors file that was checked: every byte
// of it belongs to exactly one tensor. The bytes are not copied.
//
//	8 bytes  length n of the header, little-endian
//	n bytes  JSON: name -> dtype, shape, data_offsets; __metadata__ -> strings
//	…        the tensors, one after another, little-endian, in C order
type Tensors struct {
	file safetensors.SafeTensors
	meta map[string]string
}

// ParseTensors reads a safetensors file from memory.
func ParseTensors(data []byte) (*Tensors, error) {
	if len(data) < 8 {
		return nil, errors.New("safetensors: no header")
	}
	if n := binary.LittleEndian.Uint64(data); n > maxHeader {
		return nil, fmt.Errorf("safetensors: header of %d bytes is over the limit of %d", n, maxHeader)
	}
	_, meta, err := safetensors.ReadMetadata(data)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	file, err := safetensors.Deserialize(data)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return &Tensors{file: file, meta: meta.Metadata()}, nil
}

// Names lists the tensors, sorted.
func (t *Tensors) Names() []string {
	names := t.file.Names()
	slices.Sort(names)
	return names
}

// Metadata is the file's own remarks.
func (t *Tensors) Metadata() map[string]string { return t.meta }

// Info is the type ("F16") and shape of a tensor.
func (t *Tensors) Info(name string) (dtype string, shape []uint64, ok bool) {
	v, ok := t.file.Tensor(name)
	if !ok {
		return "", nil, false
	}
	return v.DType().String(), v.Shape(), true
}

// Float32 returns a tensor of the given shape as float32, from F16, BF16, F32
// or F64.
func (t *Tensors) Float32(name string, shape ...int) ([]float32, error) {
	v, ok := t.file.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("%s is missing", name)
	}
	want := make([]uint64, len(shape))
	for i, d := range shape {
		want[i] = uint64(d)
	}
	if !slices.Equal(v.Shape(), want) {
		return nil, fmt.Errorf("%s has shape %v, want %v", name, v.Shape(), shape)
	}
	data := v.Data()
	switch v.DType() {
	case safetensors.F16:
		return decode(data, 2, func(b []byte) float32 { return float16.Frombits(binary.LittleEndian.Uint16(b)).Float32() }), nil
	case safetensors.BF16:
		return decode(data, 2, func(b []byte) float32 {
			return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
		}), nil
	case safetensors.F32:
		return decode(data, 4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }), nil
	case safetensors.F64:
		return decode(data, 8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }), nil
	}
	return nil, fmt.Errorf("%s is of type %s, want floating point", name, v.DType())
}

func decode(data []byte, size int, get func([]byte) float32) []float32 {
	out := make([]float32, len(data)/size)
	for i := range out {
		out[i] = get(data[i*size:])
	}
	return out
}

// A namedTensor is one to be written.
type namedTensor struct {
	name  string
	shape []int
	data  []float32
}

// writeTensors writes a safetensors file: sorted by name, so that the same
// values are the same bytes.
func writeTensors(w io.Writer, tensors []namedTensor, meta map[string]string) error {
	views := make(map[string]safetensors.TensorView, len(tensors))
	for _, t := range tensors {
		shape := make([]uint64, len(t.shape))
		for i, d := range t.shape {
			shape[i] = uint64(d)
		}
		data := make([]byte, 0, 4*len(t.data))
		for _, v := range t.data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		v, err := safetensors.NewTensorView(safetensors.F32, shape, data)
		if err != nil {
			return fmt.Errorf("safetensors: %s: %w", t.name, err)
		}
		views[t.name] = v
	}
	return safetensors.SerializeToWriter(views, meta, w)
}
