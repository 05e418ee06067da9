package learn

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
)

// measure takes the norms of the inputs that the settings ask for, unless the
// model has them.
func measure(spec *model.Spec, data Data, s *Settings) (err error) {
	if s.Places > 0 && (spec.Pixels != nil || !spec.Image.Pointwise()) {
		return fmt.Errorf("%d places of a picture: image tower %s sees more than a place of a feature map at a time", s.Places, spec.Image.Name)
	}
	if s.Normalize != NormNone && spec.AudioNorm == nil {
		if spec.AudioNorm, err = corpusNorm(data.Train, data.Clips, spec.Audio.In, s.Normalize == NormCoeffs); err != nil {
			return err
		}
	}
	if s.NormMaps != NormNone && spec.MapNorm == nil {
		spec.MapNorm, err = mapNorm(data.Train, data.Images, spec.Image.In, data.Sources)
	}
	return err
}

// moments are sums over rows of numbers, each column's and that of all squares.
type moments struct {
	rows         int
	sum, squares []float64
	all          float64 // squares of all columns
}

func newMoments(columns int) *moments {
	return &moments{sum: make([]float64, columns), squares: make([]float64, columns)}
}

func (m *moments) add(x []float32) error {
	c := len(m.sum)
	if len(x)%c != 0 {
		return fmt.Errorf("%d values are no whole number of frames of %d", len(x), c)
	}
	for ; len(x) > 0; x = x[c:] {
		m.rows++
		for j, v := range x[:c] {
			square := float64(v) * float64(v)
			m.sum[j] += float64(v)
			m.squares[j] += square
			m.all += square
		}
	}
	return nil
}

func (m *moments) join(o *moments) {
	m.rows += o.rows
	m.all += o.all
	for j := range m.sum {
		m.sum[j] += o.sum[j]
		m.squares[j] += o.squares[j]
	}
}

// norm is the mean of each column, and either the deviation of each about it or
// the one deviation of all values about their grand mean.
func (m *moments) norm(each bool) (*model.CoeffNorm, error) {
	if m.rows == 0 {
		return nil, errors.New("corpus norm: no frames")
	}
	c, rows := len(m.sum), float64(m.rows)
	norm := &model.CoeffNorm{Mean: make([]float64, c)}
	grand := 0.0
	for j, s := range m.sum {
		norm.Mean[j] = s / rows
		grand += norm.Mean[j] / float64(c)
	}
	if !each {
		norm.Std = math.Sqrt(m.all/float64(m.rows*c) - grand*grand)
		if !(norm.Std > 0) {
			return nil, errors.New("corpus norm: all coefficients are equal")
		}
		return norm, nil
	}
	for j, s := range m.squares {
		norm.Stds = append(norm.Stds, math.Sqrt(s/rows-norm.Mean[j]*norm.Mean[j]))
		if !(norm.Stds[j] > 1e-7*max(1, math.Abs(norm.Mean[j]))) { // the squares cancel to half their digits
			return nil, fmt.Errorf("corpus norm: coefficient %d is the same in all frames: normalize: corpus divides by one deviation of all", j)
		}
	}
	return norm, nil
}

// normOf is the norm of columns that come from several sources, so many of each:
// the mean of each column, and the one deviation of all values of its source.
func (m *moments) normOf(sources []int) (*model.CoeffNorm, error) {
	out, at := &model.CoeffNorm{}, 0
	for i, c := range sources {
		if c < 1 || at+c > len(m.sum) {
			return nil, fmt.Errorf("corpus norm: %v are no parts of %d channels", sources, len(m.sum))
		}
		part := moments{rows: m.rows, sum: m.sum[at:][:c]}
		for _, s := range m.squares[at:][:c] {
			part.all += s
		}
		norm, err := part.norm(false)
		if err != nil {
			return nil, fmt.Errorf("network %d: %w", i+1, err)
		}
		out.Mean = append(out.Mean, norm.Mean...)
		out.Stds = append(out.Stds, slices.Repeat([]float64{norm.Std}, c)...)
		at += c
	}
	if at != len(m.sum) {
		return nil, fmt.Errorf("corpus norm: %v are no parts of %d channels", sources, len(m.sum))
	}
	return out, nil
}

// corpusNorm is the norm of the frames of the clips of the pairs, each clip once,
// in the order of the pairs.
func corpusNorm(pairs []minibatch.Pair, clips minibatch.Clips, coeffs int, each bool) (*model.CoeffNorm, error) {
	seen, m := map[int]bool{}, newMoments(coeffs)
	for _, p := range pairs {
		if seen[p.Clip] {
			continue
		}
		seen[p.Clip] = true
		x, err := clips.Frames(p.Clip)
		if err == nil {
			err = m.add(x)
		}
		if err != nil {
			return nil, fmt.Errorf("clip of %s: %w", p.ID, err)
		}
	}
	return m.norm(each)
}

// normBlock is how many feature maps are added up before their sums are.
const normBlock = 64

// mapNorm is the norm of the places of the feature maps of the pairs' photos,
// each photo once; of maps of several networks, each with its own deviation.
func mapNorm(pairs []minibatch.Pair, images minibatch.Images, channels int, sources []int) (*model.CoeffNorm, error) {
	var once []minibatch.Pair
	seen := map[int]bool{}
	for _, p := range pairs {
		if !seen[p.Image] {
			once = append(once, p)
			seen[p.Image] = true
		}
	}
	blocks := make([]*moments, (len(once)+normBlock-1)/normBlock)
	err := kernel.ParallelErr(len(blocks), func(b int) error {
		m := newMoments(channels)
		var x []float32
		for _, p := range once[b*normBlock : min(len(once), (b+1)*normBlock)] {
			img, err := images.Image(p.Image)
			if err == nil && img.Half == nil {
				err = errors.New("is no feature map")
			}
			x = img.AppendMap(x[:0])
			if err == nil {
				err = m.add(x)
			}
			if err != nil {
				return fmt.Errorf("image %s: %w", p.Photo, err)
			}
		}
		blocks[b] = m
		return nil
	})
	if err != nil {
		return nil, err
	}
	sum := newMoments(channels)
	for _, m := range blocks {
		sum.join(m)
	}
	if sources == nil {
		return sum.norm(false)
	}
	return sum.normOf(sources)
}
