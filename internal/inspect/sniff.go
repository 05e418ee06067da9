package inspect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hearsight/hearsight/internal/vision"
)

// An input is the file a child reads.
type input struct {
	f     io.ReaderAt
	name  string
	size  int64
	opts  Options
	until time.Time // when statistics stop; zero: never
}

func (in *input) ReadAt(p []byte, off int64) (int, error) { return in.f.ReadAt(p, off) }

// late says that statistics have taken long enough.
func (in *input) late() bool { return !in.until.IsZero() && time.Now().After(in.until) }

// all reads the file whole, for decoders that want it so.
func (in *input) all() ([]byte, error) {
	b := make([]byte, in.size)
	_, err := io.ReadFull(io.NewSectionReader(in.f, 0, in.size), b)
	return b, err
}

// extensions of each kind.
var extensions = map[string][]string{
	"parquet":      {".parquet", ".pq"},
	"arrow":        {".arrow", ".feather", ".ipc"},
	"arrow stream": {".arrows", ".stream"},
	"npy":          {".npy"},
	"safetensors":  {".safetensors"},
	"jpeg":         {".jpg", ".jpeg"},
	"png":          {".png"},
	"gif":          {".gif"},
	"webp":         {".webp"},
	"bmp":          {".bmp"},
	"tiff":         {".tif", ".tiff"},
	"wav":          {".wav"},
	"mp3":          {".mp3"},
	"m4a":          {".m4a", ".mp4", ".aac"},
	"aiff":         {".aif", ".aiff", ".aifc"},
}

// kind tells what the file is by its first bytes, or else by its name.
func kind(in *input) (string, error) {
	if in.size == 0 {
		return "", errors.New("file is empty")
	}
	head := make([]byte, min(in.size, 64))
	if _, err := in.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if k := sniff(head, in.size); k != "" {
		return k, nil
	}
	if k := byName(in.name); k != "" {
		return k, nil
	}
	return "", errors.New("not a kind of file that can be inspected: parquet, arrow, npy, safetensors, wav, aiff, mp3, m4a, " + strings.Join(vision.Formats(), ", "))
}

func byName(name string) string {
	ext := strings.ToLower(filepath.Ext(name))
	for k, list := range extensions {
		for _, e := range list {
			if e == ext {
				return k
			}
		}
	}
	return ""
}

func sniff(head []byte, size int64) string {
	has := func(off int, s string) bool { return len(head) >= off+len(s) && string(head[off:off+len(s)]) == s }
	switch {
	case has(0, "PAR1"):
		return "parquet"
	case has(0, "ARROW1"):
		return "arrow"
	case has(0, "\xff\xff\xff\xff"):
		return "arrow stream"
	case has(0, "\x93NUMPY"):
		return "npy"
	case (has(0, "RIFF") || has(0, "RIFX") || has(0, "RF64")) && has(8, "WAVE"):
		return "wav"
	case has(0, "FORM") && (has(8, "AIFF") || has(8, "AIFC")):
		return "aiff"
	case has(4, "ftyp"):
		return "m4a"
	case has(0, "ID3"), len(head) > 2 && head[0] == 0xff && head[1]&0xe6 == 0xe2: // sync, layer III
		return "mp3"
	case len(head) > 9 && head[8] == '{' && bytes.ContainsAny(head[9:10], "\"} ") &&
		binary.LittleEndian.Uint64(head) <= uint64(max(size-8, 0)):
		return "safetensors"
	}
	return vision.Sniff(head)
}

// report looks at the file in the way of its kind.
func report(in *input) (*Report, error) {
	k, err := kind(in)
	if err != nil {
		return nil, err
	}
	r := &Report{Path: in.name, Kind: k, Bytes: in.size}
	if named := byName(in.name); named != "" && named != k {
		r.warn("named as %s, but it is %s", named, k)
	}
	look := map[string]func(*input, *Report) error{
		"parquet": reportParquet, "arrow": reportArrow, "arrow stream": reportArrow, "npy": reportNPY,
		"safetensors": reportSafetensors,
	}[k]
	switch {
	case look != nil:
	case slices.Contains(vision.Formats(), k):
		look = reportPicture
	default:
		look = reportSound
	}
	if err := look(in, r); err != nil {
		return nil, err
	}
	return r, nil
}
