package npy

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTrip(t *testing.T) {
	for _, shape := range [][]int{{}, {6}, {2, 3}, {1, 2, 3}} {
		data := make([]float32, 1)
		if len(shape) > 0 {
			data = []float32{1, -2, 3.5, 0, 1e-9, 7}
		}
		var b bytes.Buffer
		if err := Write(&b, shape, data); err != nil {
			t.Fatal(err)
		}
		if b.Len()%64 != (len(data)*4)%64 {
			t.Errorf("Write(%v): data is not aligned to 64 bytes", shape)
		}
		a, err := Read(&b)
		if err != nil {
			t.Fatalf("Read(Write(%v)): %v", shape, err)
		}
		if !cmp.Equal(a.Shape, shape) || !cmp.Equal(a.F32(), data) {
			t.Errorf("Read(Write(%v)) = %v %v, want %v", shape, a.Shape, a.F64, data)
		}
	}
}

func TestFortranOrder(t *testing.T) {
	h := "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n"
	file := append([]byte("\x93NUMPY\x01\x00"), byte(len(h)), 0)
	file = append(file, h...)
	file = append(file, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6, 0)
	a, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{1, 2, 3, 4, 5, 6}; !cmp.Equal(a.F64, want) {
		t.Errorf("got %v, want %v", a.F64, want)
	}
}

func TestRefuses(t *testing.T) {
	for name, h := range map[string]string{
		"object":   "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
		"huge":     "{'descr': '<f8', 'fortran_order': False, 'shape': (1073741824, 1073741824), }",
		"code":     "__import__('os').system('touch PWNED')",
		"negative": "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
		"short":    "{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }",
	} {
		file := append([]byte("\x93NUMPY\x01\x00"), byte(len(h)), 0)
		file = append(append(file, h...), 0, 0, 0, 0)
		if a, err := Read(bytes.NewReader(file)); err == nil {
			t.Errorf("%s: read as %v, want an error", name, a)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, []int{2, 2}, []float32{1, 2, 3, 4}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		n := 1
		for _, d := range a.Shape {
			n *= d
		}
		if n != len(a.F64) {
			t.Errorf("shape %v with %d elements", a.Shape, len(a.F64))
		}
	})
}
