package ipcmeta_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/table/ipcmeta"
)

// sample writes an image table of n rows, which the parser must understand.
func sample(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := table.Images.Write(&b, func(yield func(table.Image, error) bool) {
		for i := range n {
			im := table.Image{ID: string(rune('a' + i)), Height: 200, Width: 200, Order: "rgb", Pixels: bytes.Repeat([]byte{byte(i)}, 200*200*3)}
			if !yield(im, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestParseFindsBuffers(t *testing.T) {
	b := sample(t, 5) // two rows a batch
	f, err := ipcmeta.Parse(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Batches) != 3 || f.Batches[0].Rows != 2 || f.Batches[2].Rows != 1 || f.Dictionaries != 0 {
		t.Fatalf("Parse = %+v, want batches of 2, 2 and 1 rows", f)
	}
	pixels := f.Batches[1].Buffers[11]
	if pixels.Len < 2*120000 || b[pixels.Offset] != 2 || b[pixels.Offset+120000] != 3 {
		t.Errorf("pixels of batch 1 at %+v are not the third and fourth image's", pixels)
	}
}

func TestParseRefusesEveryTruncation(t *testing.T) {
	b := sample(t, 1)
	for n := range len(b) {
		if n > 2000 && n < len(b)-2000 {
			continue // pixels
		}
		if _, err := ipcmeta.Parse(bytes.NewReader(b[:n]), int64(n)); err == nil {
			t.Fatalf("Parse of the first %d of %d bytes succeeds", n, len(b))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample(f, 1))
	f.Add([]byte("ARROW1\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00ARROW1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := ipcmeta.Parse(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, batch := range file.Batches {
			for _, s := range batch.Buffers {
				if _, err := io.ReadFull(io.NewSectionReader(bytes.NewReader(b), s.Offset, s.Len), make([]byte, s.Len)); err != nil {
					t.Fatalf("buffer %+v is outside the file of %d bytes", s, len(b))
				}
			}
		}
	})
}
