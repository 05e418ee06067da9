package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/table"
)

func TestMain(m *testing.M) {
	if IsChild(os.Args) {
		os.Exit(Child(os.Args))
	}
	if len(os.Args) == 3 && os.Args[1] == "misbehave" {
		misbehave(os.Args[2])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func rowsOf[R any](rows ...R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func write(t *testing.T, name string, fill func(b *bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := fill(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func tableFile[R any](t *testing.T, f table.Format[R], name string, rows ...R) string {
	return write(t, name, func(b *bytes.Buffer) error {
		_, err := f.Write(b, rowsOf(rows...))
		return err
	})
}

var mfccRows = []table.MFCC{
	{ID: "a", SHA256: "s", NFrames: 2, NCoeffs: 3, Features: []float32{0, 1, 2, 3, 4, 5}, SampleRateHz: 22050},
	{ID: "b", SHA256: "s", NFrames: 1, NCoeffs: 3, Features: []float32{-6, 7, float32(math.NaN())}, SampleRateHz: 22050},
	{ID: "c", SHA256: "s", NCoeffs: 3, SampleRateHz: 22050},
}

var imageRows = []table.Image{
	{ID: "a", SHA256: "s", Height: 1, Width: 2, Order: "bgr", Pixels: []uint8{1, 2, 3, 4, 5, 6}},
	{ID: "b", SHA256: "s", Height: 1, Width: 2, Order: "bgr", Pixels: []uint8{7, 8, 9, 10, 11, 255}},
}

func inspected(t *testing.T, path string, o Options) *Report {
	t.Helper()
	r, err := File(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func field(t *testing.T, r *Report, name string) Field {
	t.Helper()
	for _, f := range r.Fields {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no field %s in %+v", name, r.Fields)
	return Field{}
}

func TestParquetReport(t *testing.T) {
	r := inspected(t, tableFile(t, table.MFCCs, "m.parquet", mfccRows...), Options{Sample: 2})
	if r.Kind != "parquet" || r.Schema != "hearsight.mfcc/1" || r.Rows != 3 || len(r.Warnings) > 0 {
		t.Errorf("report = %+v", r)
	}
	f := field(t, r, "features")
	if f.Type != "list<float>" || f.Unit == "" || f.Stats.NaNs != 1 || f.Stats.Nulls != 1 || *f.Stats.Min != -6 || *f.Stats.Max != 7 || math.Abs(*f.Stats.Mean-2) > 1e-9 {
		t.Errorf("features = %+v, stats %+v", f, f.Stats)
	}
	if id := field(t, r, "id"); id.Stats.Count != 3 || *id.Stats.MaxLen != 1 {
		t.Errorf("id = %+v", id.Stats)
	}
	want := map[string]any{"id": "a", "n_frames": 2.0, "features": "6 values: 0 1 2 3 …"}
	for k, v := range want {
		if d := cmp.Diff(v, r.Sample[0][k]); d != "" {
			t.Errorf("sample %s (-want +got):\n%s", k, d)
		}
	}
	if len(r.Sample) != 2 {
		t.Errorf("%d sample rows, want 2", len(r.Sample))
	}
	var b bytes.Buffer
	if err := r.Print(&b); err != nil || !strings.Contains(b.String(), "hearsight.mfcc/1") || !strings.Contains(b.String(), "[Hz]") {
		t.Errorf("Print = %q, %v", b.String(), err)
	}
}

func TestArrowReport(t *testing.T) {
	r := inspected(t, tableFile(t, table.Images, "i.arrow", imageRows...), Options{})
	f := field(t, r, "pixels")
	if r.Kind != "arrow" || r.Schema != "hearsight.images/1" || r.Rows != 2 || *f.Stats.Min != 1 || *f.Stats.Max != 255 || !strings.Contains(f.Type, "[1,2,3]") {
		t.Errorf("report = %+v, pixels %+v", r, f)
	}
	if d := cmp.Diff("6 values: 1 2 3 4 …", r.Sample[0]["pixels"]); d != "" {
		t.Error(d)
	}
}

func TestRow(t *testing.T) {
	r := inspected(t, tableFile(t, table.MFCCs, "m.parquet", mfccRows...), Options{Row: "b"})
	if len(r.Sample) != 1 || r.Sample[0]["id"] != "b" || r.Drawing == "" {
		t.Errorf("row b = %v, drawing %q", r.Sample, r.Drawing)
	}
	r = inspected(t, tableFile(t, table.Images, "i.arrow", imageRows...), Options{Row: "b"})
	if len(r.Sample) != 1 || r.Sample[0]["id"] != "b" || r.Drawing == "" {
		t.Errorf("row b = %v, drawing %q", r.Sample, r.Drawing)
	}
	for _, path := range []string{tableFile(t, table.MFCCs, "m.parquet", mfccRows...), tableFile(t, table.Images, "i.arrow", imageRows...), tableFile(t, table.Rejects, "r.parquet", table.Reject{Item: "zz"})} {
		if _, err := File(context.Background(), path, Options{Row: "zz"}); !IsNoRow(err) || !strings.Contains(err.Error(), "no such row") {
			t.Errorf("%s: absent row: %v", path, err)
		}
	}
}

func TestOtherKinds(t *testing.T) {
	r := inspected(t, write(t, "a.npy", func(b *bytes.Buffer) error { return npy.Write(b, []int{2, 2}, []float32{1, 2, 3, 6}) }), Options{})
	if f := r.Fields[0]; r.Kind != "npy" || r.Rows != 2 || *f.Stats.Mean != 3 {
		t.Errorf("npy = %+v", r)
	}
	r = inspected(t, write(t, "a.jpg", func(b *bytes.Buffer) error { return png.Encode(b, image.NewGray(image.Rect(0, 0, 3, 2))) }), Options{})
	if r.Kind != "png" || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "named as jpeg") {
		t.Errorf("png named jpg = %+v", r)
	}
	r = inspected(t, write(t, "a.wav", func(b *bytes.Buffer) error { return audio.EncodeWAV(b, 8000, 1, []int16{0, 16384, -16384, 0}) }), Options{})
	if f := r.Fields[0]; r.Kind != "wav" || r.Rows != 4 || *f.Stats.Max != .5 || *f.Stats.Min != -.5 {
		t.Errorf("wav = %+v", r)
	}
	r = inspected(t, write(t, "w.safetensors", func(b *bytes.Buffer) error { return safetensorsOf(b, []float32{1, -3}, 8) }), Options{})
	if f := r.Fields[0]; r.Kind != "safetensors" || f.Name != "w" || *f.Stats.Min != -3 || *f.Stats.Mean != -1 {
		t.Errorf("safetensors = %+v", r)
	}
	path := write(t, "w.safetensors", func(b *bytes.Buffer) error { return safetensorsOf(b, []float32{1, -3}, 12) })
	if _, err := File(context.Background(), path, Options{}); err == nil || !strings.Contains(err.Error(), "offsets") {
		t.Errorf("safetensors that points past its end: %v", err)
	}
}

func safetensorsOf(b *bytes.Buffer, x []float32, end int) error {
	h := fmt.Sprintf(`{"w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}`, len(x), end)
	b.Write([]byte{byte(len(h)), 0, 0, 0, 0, 0, 0, 0})
	b.WriteString(h)
	for _, v := range x {
		u := math.Float32bits(v)
		b.Write([]byte{byte(u), byte(u >> 8), byte(u >> 16), byte(u >> 24)})
	}
	return nil
}

func exported(t *testing.T, path, format, row string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Export(context.Background(), path, &b, format, Options{Row: row}); err != nil {
		t.Fatalf("Export(%s, row %q): %v", format, row, err)
	}
	return b.Bytes()
}

func TestExport(t *testing.T) {
	m, im := tableFile(t, table.MFCCs, "m.parquet", mfccRows...), tableFile(t, table.Images, "i.arrow", imageRows...)
	clip := tableFile(t, table.Clips, "c.parquet", table.Clip{ID: "a", Format: "wav", Audio: wavBytes(t)})
	lines := strings.Split(string(exported(t, m, "csv", "")), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "id,sha256,n_frames,n_coeffs,features,") || !strings.HasPrefix(lines[2], "b,s,1,3,-6 7 NaN,") {
		t.Errorf("csv = %q", lines)
	}
	var row struct {
		ID       string
		Features []any
	}
	if err := json.Unmarshal(exported(t, m, "json", "b"), &row); err != nil || row.ID != "b" || len(row.Features) != 3 || row.Features[2] != nil {
		t.Errorf("json row = %+v, %v", row, err)
	}
	a, err := npy.Read(bytes.NewReader(exported(t, m, "npy", "a")))
	if err != nil || !cmp.Equal(a.Shape, []int{2, 3}) || a.F64[5] != 5 {
		t.Errorf("npy = %+v, %v", a, err)
	}
	img, err := png.Decode(bytes.NewReader(exported(t, im, "png", "a")))
	if err != nil {
		t.Fatal(err)
	}
	if r, g, b, _ := img.At(0, 0).RGBA(); r>>8 != 3 || g>>8 != 2 || b>>8 != 1 {
		t.Errorf("first pixel is %d %d %d, want 3 2 1 (stored as BGR)", r>>8, g>>8, b>>8)
	}
	if !bytes.Equal(exported(t, clip, "wav", "a"), wavBytes(t)) {
		t.Error("wav differs from what was stored")
	}
	for _, c := range []struct{ path, format, row, want string }{
		{m, "wav", "a", "cannot be written as wav"},
		{m, "npy", "", "name it by its id"},
		{m, "npy", "zz", "no such row"},
		{m, "csv", "zz", "no such row"},
		{m, "xml", "", "none of"},
	} {
		var b bytes.Buffer
		err := Export(context.Background(), c.path, &b, c.format, Options{Row: c.row})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Export(%s, row %q) = %v, want %q", c.format, c.row, err, c.want)
		}
	}
}

func wavBytes(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := audio.EncodeWAV(&b, 8000, 1, make([]int16, 300)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestErrorsNameTheFile(t *testing.T) {
	for name, content := range map[string]string{"empty.parquet": "", "text.txt": "hello", "a.parquet": "PAR1junkjunkPAR1", "a.wav": "RIFF"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := File(context.Background(), path, Options{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := File(ctx, tableFile(t, table.MFCCs, "m.parquet", mfccRows...), Options{}); err == nil {
		t.Error("a cancelled context: no error")
	}
}
