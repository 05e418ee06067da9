package inspect

import (
	"bytes"
	"encoding/json"
	"testing"
)

// The parsers of this package's own; the libraries' run in children.
func FuzzSafetensors(f *testing.F) {
	var b bytes.Buffer
	if err := safetensorsOf(&b, []float32{1, 2}, 8); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := &input{f: bytes.NewReader(data), name: "x.safetensors", size: int64(len(data))}
		if _, err := kind(in); err != nil {
			return
		}
		r := &Report{}
		if err := reportSafetensors(in, r); err != nil {
			return
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatalf("report is no JSON: %v", err)
		}
		if err := r.Print(&b); err != nil {
			t.Fatal(err)
		}
		b.Reset()
	})
}
