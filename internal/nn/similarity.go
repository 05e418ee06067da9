package nn

import (
	"fmt"
	"slices"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
)

// The similarities of an image I [places][c] and speech A [frames][c] are made
// of the matchmap M[p,t] = I[p]·A[t] (Harwath et al. 2018).
const (
	MISA = "misa" // mean over frames of the maximum over places
	SIMA = "sima" // mean over places of the maximum over frames
	SISA = "sisa" // mean over both
)

// Similarities lists the names that [Graph.Similarity] takes.
func Similarities() []string { return []string{MISA, SIMA, SISA} }

// Similarity gives [B][B'], the similarity of every image (rows) with every
// clip (columns), times scale: images are [B][places][c] or [B][h][w][c], audio
// [B'][t][c]. frames [B'] says how many frames of each clip count, 1 to t. Of
// equal maxima the first gets the gradient.
func (g *Graph[T]) Similarity(kind string, images, audio, frames *Node, scale float64) *Node {
	as := g.shape("similarity: audio", audio, 3)
	if g.err == nil && (images.Dims() != 3 && images.Dims() != 4 || images.Shape()[images.Dims()-1] != as[2]) {
		g.fail(fmt.Errorf("similarity: images %v and audio %v do not fit", images.Shape(), as))
	}
	if g.err == nil && !slices.Contains(Similarities(), kind) {
		g.fail(fmt.Errorf("similarity %q is not known", kind))
	}
	g.require("similarity: frames", frames, as[0])
	if g.err != nil {
		return nil
	}
	is := images.Shape()
	s := &similarity[T]{
		kind: kind, scale: scale, images: is[0], clips: as[0],
		places: size(is) / is[0] / as[2], t: as[1], c: as[2], ws: g.ws,
	}
	o := &op[T]{name: kind, shape: []int{is[0], as[0]}, fail: g.Err}
	s.of = o
	o.do = func(out []T, in [][]T) error {
		if err := checkFrames(in[2], s.t); err != nil {
			return err
		}
		s.forward(in[0], in[1], in[2], out)
		return nil
	}
	o.diff = func(o *op[T], in gorgonia.Nodes, _, grad *Node) gorgonia.Nodes {
		grads := make(gorgonia.Nodes, 3)
		if o.wrt[0] {
			grads[0] = g.gradient(o, &op[T]{name: "d/dimages " + kind, shape: in[0].Shape(), fail: g.Err,
				do: func(d []T, in [][]T) error { s.imageGradient(in[0], in[1], in[2], d); return nil }}, in[1], in[2], grad)
		}
		if o.wrt[1] {
			grads[1] = g.gradient(o, &op[T]{name: "d/daudio " + kind, shape: in[1].Shape(), fail: g.Err,
				do: func(d []T, in [][]T) error { s.audioGradient(in[0], in[1], in[2], d); return nil }}, in[0], in[2], grad)
		}
		return grads
	}
	return g.apply(o, images, audio, frames)
}

type similarity[T Float] struct {
	kind          string
	scale         float64
	images, clips int // B and B'
	places, t, c  int
	ws            *Workspace[T]
	of            *op[T]
}

// steps is how many maxima a pair has: one a frame, or one a place.
func (s *similarity[T]) steps() int {
	if s.kind == MISA {
		return s.t
	}
	return s.places
}

// args holds, for image i, clip j and step l, the place (MISA) or frame (SIMA)
// of the maximum.
func (s *similarity[T]) args() []int32 {
	return s.ws.places(s.of.key, s.images*s.clips*s.steps())
}

// matchmapBlock bounds the matchmaps that are in memory at once: 4 MiB of
// float32, so that they are read back from the L2 or L3 cache.
const matchmapBlock = 1 << 20

func (s *similarity[T]) forward(images, audio, frames, out []T) {
	if s.kind == SISA {
		s.forwardMeans(images, audio, frames, out)
		return
	}
	rows := s.clips * s.t
	per := max(1, min(s.images, matchmapBlock/max(1, rows*s.places)))
	m := s.ws.buffer(s.of.key+" matchmaps", rows*per*s.places)
	args := s.args()
	for i0 := 0; i0 < s.images; i0 += per {
		n := min(per, s.images-i0)
		width := n * s.places
		kernel.GemmTB(rows, width, s.c, audio, s.c, images[i0*s.places*s.c:], s.c, m, width, false)
		kernel.Parallel(n*s.clips, func(k int) {
			i, j := k/s.clips, k%s.clips
			at := (i0+i)*s.clips + j
			f := int(frames[j])
			v := s.pool(m[j*s.t*width+i*s.places:], width, f, args[at*s.steps():][:s.steps()])
			out[at] = T(s.scale * v)
		})
	}
}

// pool reduces one matchmap of f frames, rows ld apart, and notes its maxima.
func (s *similarity[T]) pool(m []T, ld, f int, args []int32) float64 {
	var sum float64
	if s.kind == MISA {
		for t := range f {
			row := m[t*ld:][:s.places]
			best, at := row[0], 0
			for p, v := range row {
				if v > best {
					best, at = v, p
				}
			}
			args[t] = int32(at)
			sum += float64(best)
		}
		return sum / float64(f)
	}
	for p := range s.places {
		best, at := m[p], 0
		for t := 1; t < f; t++ {
			if v := m[t*ld+p]; v > best {
				best, at = v, t
			}
		}
		args[p] = int32(at)
		sum += float64(best)
	}
	return sum / float64(s.places)
}

// matches calls f for each place and frame that make up the similarity of
// image i and clip j, and gives their common weight.
func (s *similarity[T]) matches(i, j, frames int, f func(place, frame int)) {
	args := s.args()[(i*s.clips+j)*s.steps():][:s.steps()]
	if s.kind == MISA {
		for t := range frames {
			f(int(args[t]), t)
		}
		return
	}
	for p, t := range args {
		f(p, int(t))
	}
}

func (s *similarity[T]) weight(frames int) float64 {
	switch s.kind {
	case MISA:
		return s.scale / float64(frames)
	case SIMA:
		return s.scale / float64(s.places)
	}
	return s.scale
}

func (s *similarity[T]) imageGradient(audio, frames, ds, d []T) {
	if s.kind == SISA {
		means := s.means("audio", audio, s.clips, s.t, frames)
		s.spread(d, s.images, s.places, nil, func(i, j int) (T, []T) { return ds[i*s.clips+j], means[j*s.c:][:s.c] }, s.clips)
		return
	}
	// Summed in float64: the gradient by the image tower's last bias is the sum
	// of d over places, and is 0 but for rounding while every pair violates the
	// margin; Adam would make whole steps of that rounding.
	acc := s.ws.sums(s.of.key, s.images*s.places*s.c)
	kernel.Parallel(s.images, func(i int) {
		img := acc[i*s.places*s.c:][:s.places*s.c]
		clear(img)
		for j := range s.clips {
			if g := ds[i*s.clips+j]; g != 0 {
				n := int(frames[j])
				w := float64(g) * s.weight(n)
				s.matches(i, j, n, func(p, t int) {
					to := img[p*s.c:][:s.c]
					for k, v := range audio[(j*s.t+t)*s.c:][:len(to)] {
						to[k] += w * float64(v)
					}
				})
			}
		}
		out := d[i*s.places*s.c:][:len(img)]
		for k, v := range img {
			out[k] = T(v)
		}
	})
}

func (s *similarity[T]) audioGradient(images, frames, ds, d []T) {
	if s.kind == SISA {
		means := s.means("images", images, s.images, s.places, nil)
		s.spread(d, s.clips, s.t, frames, func(j, i int) (T, []T) { return ds[i*s.clips+j], means[i*s.c:][:s.c] }, s.images)
		return
	}
	kernel.Parallel(s.clips, func(j int) {
		clip := d[j*s.t*s.c:][:s.t*s.c]
		clear(clip)
		n := int(frames[j])
		for i := range s.images {
			g := ds[i*s.clips+j]
			if g == 0 {
				continue
			}
			w := T(float64(g) * s.weight(n))
			s.matches(i, j, n, func(p, t int) { axpy(w, images[(i*s.places+p)*s.c:][:s.c], clip[t*s.c:][:s.c]) })
		}
	})
}

func axpy[T Float](a T, x, y []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += a * v
	}
}

// forwardMeans is SISA: the mean of all of M is the product of the means.
func (s *similarity[T]) forwardMeans(images, audio, frames, out []T) {
	im := s.means("images", images, s.images, s.places, nil)
	am := s.means("audio", audio, s.clips, s.t, frames)
	kernel.GemmTB(s.images, s.clips, s.c, im, s.c, am, s.c, out, s.clips, false)
	kernel.Scale(T(s.scale), out)
}

// means averages the first count[k] rows (all rows if count is nil) of each of
// n items of rows×c.
func (s *similarity[T]) means(what string, x []T, n, rows int, count []T) []T {
	out := s.ws.buffer(s.of.key+" means of "+what, n*s.c)
	kernel.Parallel(n, func(k int) {
		mean := out[k*s.c:][:s.c]
		clear(mean)
		f := rows
		if count != nil {
			f = int(count[k])
		}
		for r := range f {
			axpy(1, x[(k*rows+r)*s.c:][:s.c], mean)
		}
		for i := range mean {
			mean[i] /= T(f)
		}
	})
	return out
}

// spread is the gradient of means: every counted row of item k gets the sum
// over others of weight*vector, divided by the number of rows.
func (s *similarity[T]) spread(d []T, n, rows int, count []T, other func(k, o int) (T, []T), others int) {
	kernel.Parallel(n, func(k int) {
		item := d[k*rows*s.c:][:rows*s.c]
		clear(item)
		f := rows
		if count != nil {
			f = int(count[k])
		}
		first := item[:s.c]
		for o := range others {
			w, v := other(k, o)
			axpy(w*T(s.scale/float64(f)), v, first)
		}
		for r := 1; r < f; r++ {
			copy(item[r*s.c:], first)
		}
	})
}
