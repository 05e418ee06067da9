package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"strings"

	"github.com/x448/float16"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/plot"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
)

// A panel is a drawing for a terminal, of so many lines of 80 characters.
type panel struct {
	title string // may be empty
	lines int
	*picture
}

// whole is a picture that fills the terminal.
func (p *picture) whole() []panel { return []panel{{lines: 24, picture: p}} }

// A picture is a row as numbers to draw: Values of Rows x Cols, upright.
type picture struct {
	rows, cols int
	values     []float64
}

// An item is one row of this project's tables in forms that can leave it. What
// a table does not have is nil.
type item struct {
	panels []panel // for a terminal, one above the other
	npy    func(w io.Writer) error
	wav    func(w io.Writer) error
	png    func(w io.Writer) error
}

// find reads the row called id.
func find[R any](f table.Format[R], in *input, id string) (R, error) {
	var zero R
	rd, err := table.Open(f, in, in.size)
	if err != nil {
		return zero, err
	}
	keys, err := rd.Keys()
	if err != nil {
		return zero, err
	}
	for i, k := range keys {
		if k.ID == id {
			return rd.Row(i)
		}
	}
	return zero, fmt.Errorf("%w: %q", errNoRow, id)
}

// load reads the row called id of a table with the given schema.
func load(in *input, schema, id string) (*item, error) {
	switch schema {
	case table.MFCCs.Schema():
		r, err := find(table.MFCCs, in, id)
		if err != nil {
			return nil, err
		}
		return mfccItem(r)
	case table.Clips.Schema():
		r, err := find(table.Clips, in, id)
		if err != nil {
			return nil, err
		}
		return clipItem(r)
	case table.Photos.Schema():
		r, err := find(table.Photos, in, id)
		if err != nil {
			return nil, err
		}
		return photoItem(r)
	case table.Images.Schema():
		r, err := find(table.Images, in, id)
		if err != nil {
			return nil, err
		}
		return imageItem(r), nil
	case table.FeatureMaps("", "").Schema():
		r, err := find(table.FeatureMaps("", ""), in, id)
		if err != nil {
			return nil, err
		}
		return featureItem(r), nil
	}
	return &item{}, nil
}

func mfccItem(r table.MFCC) (*item, error) {
	t, c := int(r.NFrames), int(r.NCoeffs)
	if t < 0 || c < 0 || t*c != len(r.Features) {
		return nil, fmt.Errorf("%d features are not %d frames of %d", len(r.Features), t, c)
	}
	p := &picture{c, t, standardised(c, t, plot.Upright(t, c, widen(r.Features)))}
	return &item{
		panels: p.whole(), png: p.heatMap,
		npy: func(w io.Writer) error { return npy.Write(w, []int{t, c}, r.Features) },
	}, nil
}

func clipItem(r table.Clip) (*item, error) {
	pcm, _, err := audio.Decode(r.ID+"."+r.Format, r.Audio)
	if err != nil {
		return nil, err
	}
	mono := pcm.Mono()
	m, err := spectrogram(mono, pcm.SampleRateHz)
	if err != nil {
		return nil, err
	}
	return &item{
		panels: []panel{
			{fmt.Sprintf("waveform, full scale up and down, %.2f s across", pcm.DurationSec()), 12, envelope(mono)},
			{fmt.Sprintf("mel spectrogram, 20 Hz at the bottom to %d Hz, the loudest %d dB", pcm.SampleRateHz/2, shownDB), 20, m},
		},
		png: func(w io.Writer) error { return plot.Sound(w, mono, m.rows, m.cols, m.values) },
		npy: func(w io.Writer) error { return npy.Write(w, []int{pcm.Frames(), pcm.Channels}, pcm.Samples) },
		wav: func(w io.Writer) error {
			b, err := wavOf(r.ID, r.Audio)
			if err == nil {
				_, err = w.Write(b)
			}
			return err
		},
	}, nil
}

func photoItem(r table.Photo) (*item, error) {
	m, _, err := vision.Decode(r.Bytes)
	if err != nil {
		return nil, err
	}
	return pixels(m), nil
}

func imageItem(r table.Image) *item {
	pix := r.Pixels
	if r.Order == "bgr" {
		pix = vision.SwapRB(pix)
	}
	it := pixels(&vision.RGB{W: int(r.Width), H: int(r.Height), Pix: pix})
	it.npy = func(w io.Writer) error { return npy.Write(w, []int{int(r.Height), int(r.Width), 3}, r.Pixels) }
	return it
}

// pixels makes an item of a picture: in colour for PNG, its brightness (ITU-R
// BT.601) for terminals.
func pixels(m *vision.RGB) *item {
	p := &picture{m.H, m.W, make([]float64, m.W*m.H)}
	for i := range p.values {
		p.values[i] = .299*float64(m.Pix[3*i]) + .587*float64(m.Pix[3*i+1]) + .114*float64(m.Pix[3*i+2])
	}
	return &item{
		panels: p.whole(),
		npy:    func(w io.Writer) error { return npy.Write(w, []int{m.H, m.W, 3}, m.Pix) },
		png:    func(w io.Writer) error { return png.Encode(w, m.Image()) },
	}
}

// featureItem draws the mean over the channels.
func featureItem(r table.FeatureMap) *item {
	h, w, c := int(r.Height), int(r.Width), int(r.Channels)
	p := &picture{h, w, make([]float64, h*w)}
	for i := range p.values {
		for _, v := range r.Half[i*c : (i+1)*c] {
			p.values[i] += float64(float16.Frombits(v).Float32()) / float64(c)
		}
	}
	return &item{
		panels: p.whole(), png: p.heatMap,
		npy: func(out io.Writer) error { return npy.Write(out, []int{h, w, c}, r.Half) },
	}
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// standardised brings each row to mean 0 and deviation 1 and cuts it at 2.5: the
// first coefficients are so much larger than the rest that nothing else would
// be seen beside them.
func standardised(rows, cols int, x []float64) []float64 {
	for r := range rows {
		row := x[r*cols:][:cols]
		var sum, squares float64
		for _, v := range row {
			sum += v
			squares += v * v
		}
		mean := sum / float64(cols)
		dev := math.Sqrt(max(squares/float64(cols)-mean*mean, 1e-12))
		for i, v := range row {
			row[i] = min(2.5, max(-2.5, (v-mean)/dev))
		}
	}
	return x
}

func (p *picture) heatMap(w io.Writer) error {
	scale := max(1, min(8, 1024/max(p.rows, p.cols, 1)))
	return plot.HeatMap(w, p.rows, p.cols, p.values, plot.HeatOptions{Scale: scale})
}

// drawRow adds a drawing of the row that was asked for.
func drawRow(in *input, r *Report) error {
	if in.opts.Row == "" || r.Schema == "" {
		return nil
	}
	it, err := load(in, r.Schema, in.opts.Row)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, p := range it.panels {
		if p.title != "" {
			b.WriteString(p.title + "\n")
		}
		if err := plot.Terminal(&b, p.rows, p.cols, p.values, 80, p.lines, in.opts.Color); err != nil {
			return err
		}
	}
	r.Drawing = b.String()
	return nil
}

// exportRow writes one row as npy, wav or png.
func exportRow(in *input, w io.Writer, schema, format string) error {
	if in.opts.Row == "" {
		return fmt.Errorf("format %s takes one row: name it by its id", format)
	}
	it, err := load(in, schema, in.opts.Row)
	if err != nil {
		return err
	}
	write := map[string]func(io.Writer) error{"npy": it.npy, "wav": it.wav, "png": it.png}[format]
	if write == nil {
		return fmt.Errorf("a row of %s cannot be written as %s", schema, format)
	}
	var b bytes.Buffer // whole or not at all
	if err := write(&b); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

var errNoTable = errors.New("only tables (parquet, arrow) have rows to export")
