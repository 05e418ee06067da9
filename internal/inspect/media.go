package inspect

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/x448/float16"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/vision"
)

func reportNPY(in *input, r *Report) error {
	src := io.NewSectionReader(in, 0, in.size)
	a, err := npy.Read(src)
	if err != nil {
		return err
	}
	if at, err := src.Seek(0, io.SeekCurrent); err == nil && at < in.size {
		r.warn("%d bytes after the end of the array are ignored", in.size-at)
	}
	r.Rows = 1
	if len(a.Shape) > 0 {
		r.Rows = int64(a.Shape[0])
	}
	var t tally
	for _, v := range a.F64 {
		t.number(v)
	}
	r.fact("shape", "%v", a.Shape)
	r.Fields = []Field{{Name: "array", Type: fmt.Sprintf("%s %v", a.Descr, a.Shape), Stats: t.stats()}}
	return nil
}

func reportPicture(in *input, r *Report) error {
	data, err := in.all()
	if err != nil {
		return err
	}
	m, info, err := vision.Decode(data)
	if err != nil {
		return err
	}
	r.Rows = int64(m.H)
	r.Warnings = append(r.Warnings, info.Warnings...)
	r.fact("size", "%d x %d pixels", info.Width, info.Height)
	r.fact("colours", "%s", info.Model)
	for c, name := range []string{"red", "green", "blue"} {
		var t tally
		for i := c; i < len(m.Pix); i += 3 {
			t.number(float64(m.Pix[i]))
		}
		r.Fields = append(r.Fields, Field{Name: name, Type: "uint8", Stats: t.stats()})
	}
	return nil
}

func reportSound(in *input, r *Report) error {
	data, err := in.all()
	if err != nil {
		return err
	}
	pcm, info, err := audio.Decode(in.name, data)
	if errors.Is(err, audio.ErrUnsupported) {
		if probed, perr := audio.Probe(data); perr == nil {
			r.warn("%v", err)
			soundFacts(r, probed)
			return nil
		}
	}
	if err != nil {
		return err
	}
	soundFacts(r, info)
	r.Rows = int64(pcm.Frames())
	for c := range pcm.Channels {
		var t tally
		for i := c; i < len(pcm.Samples); i += pcm.Channels {
			t.number(float64(pcm.Samples[i]))
		}
		r.Fields = append(r.Fields, Field{Name: fmt.Sprintf("channel %d", c), Type: info.Codec, Unit: "full scale is 1", Stats: t.stats()})
	}
	return nil
}

func soundFacts(r *Report, info audio.Info) {
	r.Kind = info.Format
	r.Warnings = append(r.Warnings, info.Warnings...)
	if info.Damaged && len(info.Warnings) == 0 {
		r.warn("part of the sound is missing")
	}
	r.fact("codec", "%s", info.Codec)
	r.fact("sample rate", "%d Hz", info.SampleRateHz)
	r.fact("channels", "%d", info.Channels)
	r.fact("duration", "%.3f s", info.DurationSec)
}

// A tensorInfo is an entry of a safetensors header.
type tensorInfo struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// Bytes an element of each type that statistics are made of.
var dtypeBytes = map[string]int64{"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}

// reportSafetensors reads the header and streams the tensors: a file of weights
// may be larger than memory.
//
//	u64 length of header | header (JSON: name -> dtype, shape, data_offsets) | data
func reportSafetensors(in *input, r *Report) error {
	const maxHeader = 32 << 20
	var n [8]byte
	if _, err := in.ReadAt(n[:], 0); err != nil {
		return errors.New("safetensors file is truncated")
	}
	size := binary.LittleEndian.Uint64(n[:])
	if size > maxHeader || int64(size) > in.size-8 {
		return fmt.Errorf("safetensors header of %d bytes in a file of %d", size, in.size)
	}
	text := make([]byte, size)
	if _, err := in.ReadAt(text, 8); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(text, &header); err != nil {
		return fmt.Errorf("safetensors header: %w", err)
	}
	var values int64
	late := 0
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if name == "__metadata__" {
			r.fact("metadata", "%s", short(cell(string(header[name]))))
			continue
		}
		var t tensorInfo
		if err := json.Unmarshal(header[name], &t); err != nil {
			return fmt.Errorf("safetensors header: tensor %s: %w", quote(name), err)
		}
		count, err := t.check(in.size - 8 - int64(size))
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(name), err)
		}
		values += count
		f := Field{Name: name, Type: fmt.Sprintf("%s %v", t.DType, t.Shape)}
		if in.late() {
			late++
		} else if f.Stats, err = t.stats(io.NewSectionReader(in, 8+int64(size)+t.Offsets[0], t.Offsets[1]-t.Offsets[0])); err != nil {
			return fmt.Errorf("tensor %s: %w", quote(name), err)
		}
		r.Fields = append(r.Fields, f)
	}
	r.Rows = int64(len(r.Fields))
	r.fact("values", "%d", values)
	if late > 0 {
		r.warn("statistics cover the first %d of %d tensors", len(r.Fields)-late, len(r.Fields))
	}
	return nil
}

func (t tensorInfo) check(room int64) (count int64, err error) {
	if t.Offsets[0] < 0 || t.Offsets[1] < t.Offsets[0] || t.Offsets[1] > room {
		return 0, fmt.Errorf("offsets %v in %d bytes of data", t.Offsets, room)
	}
	count = 1
	for _, d := range t.Shape {
		if d < 0 || (d > 0 && count > math.MaxInt64/d) {
			return 0, fmt.Errorf("shape %v is out of range", t.Shape)
		}
		count *= d
	}
	if w, ok := dtypeBytes[t.DType]; ok && (count > room || count*w != t.Offsets[1]-t.Offsets[0]) {
		return 0, fmt.Errorf("shape %v of %s in %d bytes", t.Shape, t.DType, t.Offsets[1]-t.Offsets[0])
	}
	return count, nil
}

func (t tensorInfo) stats(r io.Reader) (*Stats, error) {
	decode := map[string]func([]byte) float64{
		"F64": func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
		"F32": func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
		"F16": func(b []byte) float64 { return float64(float16.Frombits(binary.LittleEndian.Uint16(b)).Float32()) },
		"BF16": func(b []byte) float64 {
			return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
		},
		"I64":  func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) },
		"I32":  func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) },
		"I16":  func(b []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(b))) },
		"I8":   func(b []byte) float64 { return float64(int8(b[0])) },
		"U8":   func(b []byte) float64 { return float64(b[0]) },
		"BOOL": func(b []byte) float64 { return float64(b[0]) },
	}[t.DType]
	if decode == nil {
		return nil, nil
	}
	var sum tally
	w := int(dtypeBytes[t.DType])
	buf := make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(r, buf)
		for i := 0; i+w <= n; i += w {
			sum.number(decode(buf[i:]))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return sum.stats(), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// wavOf returns a clip's sound as WAV.
func wavOf(name string, data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte("RIFF")) {
		return data, nil
	}
	pcm, _, err := audio.Decode(strings.TrimSpace(name), data)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = audio.EncodeWAV(&b, pcm.SampleRateHz, pcm.Channels, audio.ToPCM16(pcm.Samples))
	return b.Bytes(), err
}
