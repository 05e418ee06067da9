package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/internal/vision"
)

// photoOptions say where the photos are.
type photoOptions struct {
	script, photos, pixels string
}

func (p *photoOptions) flags(f *flag.FlagSet) {
	f.StringVar(&p.script, "resize-script", "scripts/bench/resize_peer.py", "photos: Pillow's side of the resizing")
	f.StringVar(&p.photos, "photos", "", "photos: folder of JPEG files")
	f.StringVar(&p.pixels, "pixels", "", "photos: folder for their decoded pixels")
}

// Photos become side x side pixels.
const side = 224

// A photoTime is what one side of one measurement took.
type photoTime struct {
	Name    string  `json:"name"` // filter, or whole
	Photos  int     `json:"photos"`
	CPU     float64 `json:"cpu_s"`   // least of the repetitions, for all photos
	Decoder float64 `json:"decoder"` // of which image/jpeg, of the whole
	SHA256  string  `json:"sha256"`  // of the results of resizing
	Version string  `json:"version"`
}

// comparePhotos measures, on one thread and by CPU seconds, ours and Pillow in
// turn: resizing the same decoded pixels, of which both make the same bytes; and
// all from JPEG files to what a network takes.
func comparePhotos(out io.Writer, o options) error {
	p := o.photos
	if p.photos == "" || p.pixels == "" || o.peers == "" {
		return errors.New("photos: say with -photos, -pixels and -peers where things are")
	}
	if _, err := output(exec.Command(o.python, p.script, "make", "--photos", p.photos, "--data", p.pixels)); err != nil {
		return fmt.Errorf("decode photos: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	t, err := newTable(out, o.results)
	if err != nil {
		return err
	}
	mine, theirs := map[string][]photoTime{}, map[string][]photoTime{}
	reps := strconv.Itoa(o.reps)
	for range o.rounds {
		for _, c := range []struct {
			to   map[string][]photoTime
			name string
			args []string
		}{
			{mine, self, []string{"photos-one", "-reps", reps, "-photos", p.photos, "-pixels", p.pixels}},
			{theirs, o.python, []string{p.script, "run", "--data", p.pixels, "--reps", reps}},
			{theirs, o.python, []string{filepath.Join(o.peers, "image_resize.py"), "--photos", p.photos, "--tool", "pillow", "--threads", "1", "--reps", reps}},
		} {
			text, err := output(exec.Command(c.name, c.args...))
			if err != nil {
				return err
			}
			if err := readPhotoTimes(text, c.to); err != nil {
				return err
			}
		}
	}
	rows, err := photoRows(mine, theirs)
	if err != nil {
		return err
	}
	return errors.Join(t.add(rows...), t.end())
}

func readPhotoTimes(text []byte, to map[string][]photoTime) error {
	for line := range bytes.Lines(text) {
		said := struct {
			photoTime
			Images int `json:"images"` // how the peers of all call them
		}{}
		if err := json.Unmarshal(line, &said); err != nil {
			return fmt.Errorf("%w in %.200q", err, line)
		}
		if said.Name == "image_pillow" {
			said.Name, said.Photos = whole, said.Images
		}
		to[said.Name] = append(to[said.Name], said.photoTime)
	}
	return nil
}

const whole = "whole"

// photoRows are photos a CPU second, by the medians of the rounds. It is an error
// if the two sides did not do the same.
func photoRows(mine, theirs map[string][]photoTime) (out []row, err error) {
	for _, name := range append(vision.Filters(), whole) {
		a, b := mine[name], theirs[name]
		if len(a) == 0 || len(b) == 0 {
			continue
		}
		if a[0].Photos != b[0].Photos || a[0].SHA256 != b[0].SHA256 {
			return nil, fmt.Errorf("resize %s: %d photos with digest %s, Pillow %d with %s: not the same work", name, a[0].Photos, a[0].SHA256, b[0].Photos, b[0].SHA256)
		}
		rate := func(times []photoTime) float64 {
			var all []float64
			for _, t := range times {
				all = append(all, float64(t.Photos)/t.CPU)
			}
			return median(all)
		}
		r := row{
			name: "resize_" + name, unit: "photos/s", ours: rate(a), peer: rate(b), peerName: "Pillow", least: 1.5, load: load(),
			note: fmt.Sprintf("from the same pixels to the same bytes, a CPU second; %d rounds, %s", len(a), b[0].Version),
		}
		if name == whole {
			share := a[0].Decoder / a[0].CPU
			r.name, r.least, r.note = "photos_jpeg", .5, fmt.Sprintf("JPEG to float32, a CPU second, of which image/jpeg takes %.0f %%; %d rounds, %s", 100*share, len(a), b[0].Version)
		}
		r.ratio = r.ours / r.peer
		r.cpuRatio = r.ratio
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil, errors.New("photos: nothing was measured on both sides")
	}
	return out, nil
}

// onePhotos is our side: a line of JSON for each filter, then one for the whole.
func onePhotos(out io.Writer, o options) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	photos, err := readPixels(o.photos.pixels)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	for _, name := range vision.Filters() {
		f, err := vision.ParseFilter(name)
		if err != nil {
			return err
		}
		if f == vision.Nearest {
			continue // it copies pixels
		}
		results := make([]*vision.RGB, len(photos))
		cpu, err := leastCPU(o.reps, func() error {
			for i, m := range photos {
				results[i] = vision.Resize(m, side, side, f)
			}
			return nil
		})
		if err != nil {
			return err
		}
		sum := sha256.New()
		for _, m := range results {
			sum.Write(m.Pix)
		}
		if err := enc.Encode(photoTime{Name: name, Photos: len(photos), CPU: cpu, SHA256: fmt.Sprintf("%x", sum.Sum(nil))}); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(filepath.Join(o.photos.photos, "*.jpg"))
	if err != nil {
		return err
	}
	t := photoTime{Name: whole, Photos: len(files)}
	if t.CPU, err = leastCPU(o.reps, func() error {
		return each(files, func(data []byte) error {
			m, _, err := vision.Decode(data)
			if err == nil {
				vision.SubtractMean(vision.SwapRB(vision.Resize(m, side, side, vision.Bilinear).Pix), vision.CaffeMeanBGR)
			}
			return err
		})
	}); err != nil {
		return err
	}
	if t.Decoder, err = leastCPU(o.reps, func() error {
		return each(files, func(data []byte) error {
			_, err := jpeg.Decode(bytes.NewReader(data))
			return err
		})
	}); err != nil {
		return err
	}
	return enc.Encode(t)
}

// each reads files and has f look at them.
func each(files []string, f func(data []byte) error) error {
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err == nil {
			err = f(data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readPixels reads what resize_peer.py has decoded.
func readPixels(dir string) (out []*vision.RGB, err error) {
	sizes, err := os.ReadFile(filepath.Join(dir, "sizes.txt"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(sizes)) {
		var name string
		m := new(vision.RGB)
		if _, err := fmt.Sscan(line, &name, &m.W, &m.H); err != nil {
			return nil, fmt.Errorf("sizes.txt: %w in %q", err, line)
		}
		if m.Pix, err = os.ReadFile(filepath.Join(dir, filepath.Base(name))); err != nil {
			return nil, err
		}
		if len(m.Pix) != 3*m.W*m.H {
			return nil, fmt.Errorf("%s: %d bytes, want %d x %d x 3", name, len(m.Pix), m.W, m.H)
		}
		out = append(out, m)
	}
	return out, nil
}
