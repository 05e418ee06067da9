package model

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hearsight/hearsight/internal/nn"
)

// Ways to give a tower its initial values.
const (
	InitPyTorch = "pytorch" // uniform, bound 1/sqrt(fan in), biases too
	InitHe      = "he"      // normal, deviation sqrt(gain/fan in), biases 0
)

// Ways to treat clips that are shorter than the network's input.
const (
	LengthFixed = "fixed" // every frame of the input counts, padding too: the paper
	LengthTrue  = "true"  // only the clip's own frames count
)

// A Spec says what a model is, all but its parameters' values: model.json.
type Spec struct {
	Image      Tower       `json:"image"`
	Audio      Tower       `json:"audio"`
	Height     int         `json:"height"` // of the image tower's input
	Width      int         `json:"width"`
	Frames     int         `json:"frames"` // longest clip; the rest is cut off
	Length     string      `json:"length"` // fixed or true
	Similarity string      `json:"similarity"`
	Scale      float64     `json:"scale"`                 // of the similarity
	LearnScale bool        `json:"learn_scale,omitempty"` // and e to the power of a parameter, 0 at first
	Init       string      `json:"init"`
	Pixels     *PixelNorm  `json:"pixels,omitempty"`     // how pixels become the image tower's input
	MapNorm    *CoeffNorm  `json:"map_norm,omitempty"`   // how feature maps become the image tower's input
	AudioNorm  *CoeffNorm  `json:"audio_norm,omitempty"` // how MFCC become the audio tower's input
	Notes      []KeyString `json:"notes,omitempty"`      // what a reader should know: settings, data
}

// A KeyString is a named remark.
type KeyString struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// A PixelNorm turns a pixel x in 0..255 into (x-Center)/Scale and, where it has
// Mean and Std, that of channel c (red, green, blue) into (x-Mean[c])/Std[c].
type PixelNorm struct {
	Center float64   `json:"center"`
	Scale  float64   `json:"scale"`
	Mean   []float64 `json:"mean,omitempty"`
	Std    []float64 `json:"std,omitempty"`
}

func (p *PixelNorm) check(channels int) error {
	if !finite(p.Center) || !(p.Scale > 0) || !finite(p.Scale) {
		return fmt.Errorf("pixel scale %v about %v is out of range", p.Scale, p.Center)
	}
	if p.Mean == nil && p.Std == nil {
		return nil
	}
	bad := func(x float64) bool { return !finite(x) }
	if len(p.Mean) != channels || len(p.Std) != channels || slices.ContainsFunc(p.Mean, bad) || slices.ContainsFunc(p.Std, bad) || slices.Min(p.Std) <= 0 {
		return fmt.Errorf("the pixel norm, mean %v and deviation %v, does not fit %d channels", p.Mean, p.Std, channels)
	}
	return nil
}

// A CoeffNorm turns coefficient j of a frame, or channel j of a feature map, x,
// into (x-Mean[j])/Std, or, where it has Stds, (x-Mean[j])/Stds[j].
type CoeffNorm struct {
	Mean []float64 `json:"mean"`
	Std  float64   `json:"std,omitempty"`
	Stds []float64 `json:"stds,omitempty"`
}

// of is the deviation of coefficient j.
func (n *CoeffNorm) of(j int) float64 {
	if n.Stds != nil {
		return n.Stds[j]
	}
	return n.Std
}

// fits reports whether the norm is one of so many coefficients.
func (n *CoeffNorm) fits(coeffs int) bool {
	if len(n.Mean) != coeffs || n.Stds != nil && len(n.Stds) != coeffs {
		return false
	}
	for j, m := range n.Mean {
		if !finite(m) || !(n.of(j) > 0) || !finite(n.of(j)) {
			return false
		}
	}
	return true
}

// put writes (x-mean)/deviation of rows of coefficients into dst.
func put[T nn.Float](n *CoeffNorm, dst []T, x []float32) {
	for c := len(n.Mean); len(x) >= c; dst, x = dst[c:], x[c:] {
		for j, v := range x[:c] {
			dst[j] = T((float64(v) - n.Mean[j]) / n.of(j))
		}
	}
}

// SimilarityAttention compares two vectors, to which both towers come by
// attention: their cosine. The others are package nn's.
const SimilarityAttention = "attention"

// Similarities lists the similarities that a [Spec] may name.
func Similarities() []string { return append(nn.Similarities(), SimilarityAttention) }

// Check says what is wrong with the spec, nil if nothing is.
func (s *Spec) Check() error {
	errs := []error{s.Image.check(), s.Audio.check()}
	say := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	if errors.Join(errs...) == nil {
		say(s.Image.Dims != 2 || s.Audio.Dims != 1, "the image tower must have 2 dimensions and the audio tower 1")
		say(s.Image.Out() != s.Audio.Out(), "the towers end in %d and %d channels", s.Image.Out(), s.Audio.Out())
		say(s.Height > maxSide || s.Width > maxSide || s.Image.Steps(s.Height) < 1 || s.Image.Steps(s.Width) < 1, "an image of %dx%d is out of range", s.Height, s.Width)
		say(s.Frames > maxSide || s.Audio.Steps(s.Frames) < 1, "%d frames are out of range", s.Frames)
		say(s.Image.largest(s.Height, s.Width) > maxValues || s.Audio.largest(1, s.Frames) > maxValues, "an input of this size is too large")
	}
	say(!slices.Contains(Similarities(), s.Similarity), "similarity %q is not known", s.Similarity)
	say((s.Similarity == SimilarityAttention) != s.Image.Attends() || s.Image.Attends() != s.Audio.Attends(), "similarity %s: both towers must attend for attention, and neither for another", s.Similarity)
	say(s.Length != LengthFixed && s.Length != LengthTrue, "length %q: want %s or %s", s.Length, LengthFixed, LengthTrue)
	say(s.Init != InitPyTorch && s.Init != InitHe, "init %q: want %s or %s", s.Init, InitPyTorch, InitHe)
	say(!(s.Scale > 0) || math.IsInf(s.Scale, 0), "similarity scale %v: want a positive number", s.Scale)
	if s.Pixels != nil {
		errs = append(errs, s.Pixels.check(s.Image.In))
	}
	say(s.AudioNorm != nil && !s.AudioNorm.fits(s.Audio.In), "the audio norm does not fit %d coefficients", s.Audio.In)
	say(s.MapNorm != nil && (s.Pixels != nil || !s.MapNorm.fits(s.Image.In)), "the norm of feature maps does not fit %d channels", s.Image.In)
	return errors.Join(errs...)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// A Model is a Spec with values. Graphs made from it share them.
type Model[T nn.Float] struct {
	Spec
	image, audio tower[T]
	scale        *nn.Param[T] // nil: not learnt
}

// New returns a model with the initial values of seed: each tensor's own
// stream of numbers comes from the seed and its name, so that no layer's
// values depend on another's size.
func New[T nn.Float](spec Spec, seed uint64) (*Model[T], error) {
	m, err := blank[T](spec)
	if err != nil {
		return nil, err
	}
	m.image.initialise(spec.Init, seed)
	m.audio.initialise(spec.Init, seed)
	return m, nil
}

func blank[T nn.Float](spec Spec) (*Model[T], error) {
	if err := spec.Check(); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	m := &Model[T]{Spec: spec, image: newTower[T]("image", spec.Image), audio: newTower[T]("audio", spec.Audio)}
	if spec.LearnScale {
		m.scale = nn.NewParam[T]("similarity.scale", 1)
	}
	return m, nil
}

// Params lists all parameters, image tower first, in the order of the layers; a
// learnt scale comes last.
func (m *Model[T]) Params() []*nn.Param[T] {
	var out []*nn.Param[T]
	for _, p := range slices.Concat(m.image.params, m.audio.params) {
		out = append(out, p...)
	}
	if m.scale != nil {
		out = append(out, m.scale)
	}
	return out
}

// Stats lists the running statistics of all batch norm layers.
func (m *Model[T]) Stats() []*nn.Stats[T] {
	var out []*nn.Stats[T]
	for _, s := range slices.Concat(m.image.stats, m.audio.stats) {
		if s != nil {
			out = append(out, s)
		}
	}
	return out
}

// Size is the number of trained parameters.
func (m *Model[T]) Size() int {
	n := 0
	for _, p := range m.Params() {
		n += len(p.W)
	}
	return n
}

// EmbedImages adds the image tower: x [n][h][w][in] to [n][h'][w'][c], or, with
// attention, to vectors of length 1, [n][c].
func (m *Model[T]) EmbedImages(g *nn.Graph[T], x *nn.Node) *nn.Node {
	return m.unit(g, m.image.apply(g, x, nil))
}

// EmbedAudio adds the audio tower: x [n][t][coefficients] to [n][t'][c], or, with
// attention, to vectors of length 1, [n][c]. frames, [n], holds what
// [Spec.OutFrames] says of each clip: a layer that reads a clip backwards starts
// there, an attention ends there.
func (m *Model[T]) EmbedAudio(g *nn.Graph[T], x, frames *nn.Node) *nn.Node {
	if m.Length == LengthFixed {
		frames = nil // all of them
	}
	return m.unit(g, m.audio.apply(g, x, frames))
}

// unit is x, of length 1 where vectors are compared.
func (m *Model[T]) unit(g *nn.Graph[T], x *nn.Node) *nn.Node {
	if m.Similarity == SimilarityAttention {
		return g.L2Norm(x)
	}
	return x
}

// Similarities adds both towers and their similarity, [images][clips]. frames
// holds what [Spec.OutFrames] says of each clip.
func (m *Model[T]) Similarities(g *nn.Graph[T], images, audio, frames *nn.Node) *nn.Node {
	i := m.EmbedImages(g, images)
	a := m.EmbedAudio(g, audio, frames)
	return m.Compare(g, i, a, frames)
}

// Compare adds the similarity of every embedded image with every embedded clip.
func (m *Model[T]) Compare(g *nn.Graph[T], images, audio, frames *nn.Node) *nn.Node {
	var s *nn.Node
	if m.Similarity == SimilarityAttention {
		s = g.Products(images, audio, m.Scale)
	} else {
		if m.Audio.masks() && m.Length == LengthTrue {
			frames = g.Steps(frames, m.Audio.stepsOf)
		}
		s = g.Similarity(m.Similarity, images, audio, frames, m.Scale)
	}
	if m.scale != nil {
		s = g.ScaleBy(s, g.Param(m.scale))
	}
	return s
}

// FullScale is what a similarity is multiplied by, a learnt scale with it.
func (m *Model[T]) FullScale() float64 {
	if m.scale == nil {
		return m.Scale
	}
	return m.Scale * nn.LearntScale(float64(m.scale.W[0]))
}

// MatchImages adds the image tower for a matchmap: x [n][h][w][in] to [n][places][c].
// The products of its rows with those of [Model.MatchAudio], times the scale, are
// how well each place and step of the sound match; with attention all of them add
// up to the similarity.
func (m *Model[T]) MatchImages(g *nn.Graph[T], x *nn.Node) *nn.Node {
	if m.Similarity == SimilarityAttention {
		return m.image.shares(g, x, nil)
	}
	return g.Rows(m.image.apply(g, x, nil))
}

// MatchAudio adds the audio tower for a matchmap: x [n][t][coefficients] to
// [n][steps][c].
func (m *Model[T]) MatchAudio(g *nn.Graph[T], x, frames *nn.Node) *nn.Node {
	if m.Length == LengthFixed {
		frames = nil
	}
	if m.Similarity == SimilarityAttention {
		return m.audio.shares(g, x, frames)
	}
	return m.audio.apply(g, x, frames)
}

// OwnSteps is how many steps of the audio tower's output count for a clip of n
// frames in an input of in frames.
func (s *Spec) OwnSteps(n, in int) int {
	told := s.OutFrames(n, in)
	if s.Audio.masks() && s.Length == LengthTrue {
		return s.Audio.stepsOf(told)
	}
	return told
}

// OutFrames is how many of the audio tower's output frames count for a clip of
// n frames in an input of in frames: all for length fixed, else
// clamp(n // round(in/out), 1, out). A tower that masks is told the clip's own
// frames instead, and counts every step that begins within them.
func (s *Spec) OutFrames(n, in int) int {
	out := s.Audio.Steps(in)
	if s.Length == LengthFixed || out < 1 {
		return out
	}
	if s.Audio.masks() {
		return min(in, max(1, n))
	}
	ratio := max(1, int(math.RoundToEven(float64(in)/float64(out))))
	return min(out, max(1, n/ratio))
}

// PutFrames writes a clip's frames, n*coefficients values, into dst, the input
// of a clip: cut or filled up with zero rows to dst's length, normalised. It
// returns how many frames the clip has in dst.
func PutFrames[T nn.Float](s *Spec, dst []T, frames []float32) int {
	c := s.Audio.In
	n := min(len(frames), len(dst)) / c
	if s.AudioNorm != nil {
		put(s.AudioNorm, dst, frames[:n*c])
	} else {
		for i, v := range frames[:n*c] {
			dst[i] = T(v)
		}
	}
	clear(dst[n*c:])
	return n
}

// NormalizeMap turns the values of a feature map, in the input of a picture, into
// what the image tower has learnt from.
func NormalizeMap[T nn.Float](s *Spec, x []T) {
	n := s.MapNorm
	if n == nil {
		return
	}
	inverse := make([]T, len(n.Mean))
	for j := range inverse {
		inverse[j] = T(1 / n.of(j))
	}
	for c := len(n.Mean); len(x) >= c; x = x[c:] {
		for j, v := range x[:c] {
			x[j] = (v - T(n.Mean[j])) * inverse[j]
		}
	}
}

// PutPixels writes bytes into dst, the input of a picture, normalised.
func PutPixels[T nn.Float](s *Spec, dst []T, pixels []uint8) {
	n := PixelNorm{Scale: 1}
	if s.Pixels != nil {
		n = *s.Pixels
	}
	tables := make([][256]T, max(1, len(n.Mean)))
	for c := range tables {
		for i := range tables[c] {
			x := (float64(i) - n.Center) / n.Scale
			if n.Mean != nil {
				x = (x - n.Mean[c]) / n.Std[c]
			}
			tables[c][i] = T(x)
		}
	}
	for c := range tables {
		for i := c; i < len(pixels); i += len(tables) {
			dst[i] = tables[c][pixels[i]]
		}
	}
}
