package table

import (
	"bytes"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Parts far larger than a row group or batch stream both ways.
func TestStreamsInBoundedMemory(t *testing.T) {
	audio, half := make([]byte, 200_000), make([]uint16, 14*14*512)
	stream(t, Clips, 600, 200_000, func(i int) Clip { return Clip{ID: id(i), Audio: audio} })
	stream(t, FeatureMaps("vgg16", "conv5_3"), 400, 200_704, func(i int) FeatureMap {
		return FeatureMap{ID: id(i), Height: 14, Width: 14, Channels: 512, Half: half}
	})
}

// stream writes n rows of about size bytes to a file and reads them, watching
// the heap on the way. Two row groups may be alive at once: one in the library's
// pool, one in use.
func stream[R any](t *testing.T, f Format[R], n int, size int64, row func(i int) R) {
	t.Helper()
	const limit = 64 << 20
	before := live()
	var peak uint64
	watched := func(rows iter.Seq2[R, error]) iter.Seq2[R, error] {
		return func(yield func(R, error) bool) {
			i := 0
			for r, err := range rows {
				if !yield(r, err) {
					return
				}
				if i++; i%40 == 0 {
					now := live()
					peak = max(peak, now-min(before, now))
				}
			}
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "part"+f.Ext()))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	made := func(yield func(R, error) bool) {
		for i := range n {
			if !yield(row(i), nil) {
				return
			}
		}
	}
	if _, err := f.Write(file, watched(made)); err != nil {
		t.Fatal(err)
	}
	length, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		t.Fatal(err)
	}
	if int64(n)*size > length || length > int64(n)*(size+2000) {
		t.Errorf("%s: %d rows of %d bytes make %d", f.Schema(), n, size, length)
	}
	got := 0
	for _, err := range watched(f.Rows(file, length)) {
		if err != nil {
			t.Fatal(err)
		}
		got++
	}
	if got != n || peak > limit {
		t.Errorf("%s: %d of %d rows came back, %d MB held of %d, want at most %d", f.Schema(), got, n, peak>>20, length>>20, limit>>20)
	}
	t.Logf("%s: %d MB held of %d", f.Schema(), peak>>20, length>>20)
}

func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestLight: the binary columns are left out, and nothing else.
func TestLight(t *testing.T) {
	row := Clip{ID: "a", Seconds: 2, Codec: "mp3", Audio: []byte("sound")}
	var b bytes.Buffer
	if _, err := Clips.Write(&b, func(yield func(Clip, error) bool) { yield(row, nil) }); err != nil {
		t.Fatal(err)
	}
	row.Audio = nil
	for got, err := range Clips.Light().Rows(bytes.NewReader(b.Bytes()), int64(b.Len())) {
		if d := cmp.Diff(row, got); err != nil || d != "" {
			t.Errorf("%v, (-want +got):\n%s", err, d)
		}
	}
}
