package similarity

import (
	"context"
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/internal/retrieval"
)

// Blocks in which pictures and clips are embedded and compared.
const (
	embedImages = 8
	embedClips  = 4
	// blockImages bounds the embedded pictures that are in memory at once: 64 of
	// 14x14x1024 are 51 MB. All embedded clips are kept.
	blockImages = 64
	blockClips  = 16
)

// A Scorer computes similarities with a model as it is at the time of a call.
// It keeps its buffers between calls and must not be used by two goroutines.
type Scorer struct {
	model *model.Model[float32]
	ws    *nn.Workspace[float32]

	images, clips, pairs *scoring
}

// scoring is one of the scorer's three networks.
type scoring struct {
	m     *nn.Machine[float32]
	in    []*nn.Node
	out   *nn.Node
	shape []int // of one item of the output
	each  int   // values of it
}

// NewScorer returns a scorer.
func NewScorer(m *model.Model[float32]) (*Scorer, error) {
	s := &Scorer{model: m, ws: nn.NewWorkspace[float32]()}
	var err error
	if s.images, err = s.network(func(g *nn.Graph[float32]) ([]*nn.Node, *nn.Node) {
		x := g.Input("images", embedImages, m.Height, m.Width, m.Image.In)
		return []*nn.Node{x}, m.EmbedImages(g, x)
	}); err != nil {
		return nil, err
	}
	if s.clips, err = s.network(func(g *nn.Graph[float32]) ([]*nn.Node, *nn.Node) {
		in := []*nn.Node{g.Input("clips", embedClips, m.Frames, m.Audio.In), g.Input("clips' frames", embedClips)}
		return in, m.EmbedAudio(g, in[0], in[1])
	}); err != nil {
		return nil, err
	}
	s.pairs, err = s.network(func(g *nn.Graph[float32]) ([]*nn.Node, *nn.Node) {
		in := []*nn.Node{
			g.Input("embedded images", append([]int{blockImages}, s.images.shape...)...),
			g.Input("embedded clips", append([]int{blockClips}, s.clips.shape...)...),
			g.Input("frames", blockClips),
		}
		return in, m.Compare(g, in[0], in[1], in[2])
	})
	return s, err
}

func (s *Scorer) network(build func(*nn.Graph[float32]) ([]*nn.Node, *nn.Node)) (*scoring, error) {
	g := nn.NewGraph(s.ws, false)
	in, out := build(g)
	m, err := g.Compile(nil)
	if err != nil {
		return nil, err
	}
	n := &scoring{m: m, in: in, out: out, shape: out.Shape()[1:], each: 1}
	for _, d := range n.shape {
		n.each *= d
	}
	return n, nil
}

// Similarities returns the similarity of every one of the images with every
// one of the clips, given by their indices. Every clip is put into the model's
// full length, so that a score does not depend on what else is scored.
func (s *Scorer) Similarities(ctx context.Context, images []int, from minibatch.Images, clips []int, frames minibatch.Clips) (retrieval.Matrix, error) {
	return s.OverViews(ctx, images, []minibatch.Images{from}, clips, frames)
}

// OverViews is Similarities where there are several views of each picture, such
// as itself and its mirror image: the mean over them.
func (s *Scorer) OverViews(ctx context.Context, images []int, views []minibatch.Images, clips []int, frames minibatch.Clips) (retrieval.Matrix, error) {
	out := retrieval.Matrix{Images: len(images), Clips: len(clips), S: make([]float64, len(images)*len(clips))}
	lengths := make([]float32, len(clips))
	speech := make([]float32, len(clips)*s.clips.each)
	counted := s.clips.m.Data(s.clips.in[1])
	for i := range counted {
		counted[i] = 1 // places that a last, smaller set leaves are looked at, too
	}
	err := s.embed(ctx, s.clips, len(clips), embedClips, speech, func(i int, dst []float32) error {
		x, err := frames.Frames(clips[i])
		if err != nil {
			return fmt.Errorf("clip %d: %w", clips[i], err)
		}
		n, err := minibatch.PutClip(&s.model.Spec, dst, x)
		if err != nil {
			return fmt.Errorf("clip %d: %w", clips[i], err)
		}
		lengths[i] = float32(s.model.OutFrames(n, s.model.Frames))
		counted[i%embedClips] = lengths[i]
		return nil
	})
	if err != nil {
		return retrieval.Matrix{}, fmt.Errorf("score: %w", err)
	}
	block := s.pairs.m.Data(s.pairs.in[0])
	for i0 := 0; i0 < len(images); i0 += blockImages {
		some := images[i0:min(len(images), i0+blockImages)]
		for _, from := range views {
			err := s.embed(ctx, s.images, len(some), embedImages, block, func(i int, dst []float32) error {
				x, err := from.Image(some[i])
				if err == nil {
					err = minibatch.PutImage(&s.model.Spec, dst, x, nil)
				}
				if err != nil {
					return fmt.Errorf("image %d: %w", some[i], err)
				}
				return nil
			})
			if err == nil {
				err = s.compare(ctx, speech, lengths, i0, len(some), out)
			}
			if err != nil {
				return retrieval.Matrix{}, fmt.Errorf("score: %w", err)
			}
		}
	}
	for i := range out.S {
		out.S[i] /= float64(len(views))
	}
	return out, nil
}

// embed runs n items through a tower, a few at a time, into out.
func (s *Scorer) embed(ctx context.Context, tower *scoring, n, batch int, out []float32, put func(i int, dst []float32) error) error {
	in := tower.m.Data(tower.in[0])
	size := len(in) / batch
	for first := 0; first < n; first += batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		some := min(batch, n-first)
		if err := kernel.ParallelErr(some, func(i int) error { return put(first+i, in[i*size:][:size]) }); err != nil {
			return err
		}
		clear(in[some*size:])
		if err := tower.m.Run(); err != nil {
			return err
		}
		copy(out[first*tower.each:], tower.m.Data(tower.out)[:some*tower.each])
	}
	return nil
}

// compare adds to the rows i0 to i0+n of out the similarities of the embedded
// block.
func (s *Scorer) compare(ctx context.Context, speech, lengths []float32, i0, n int, out retrieval.Matrix) error {
	clips, frames := s.pairs.m.Data(s.pairs.in[1]), s.pairs.m.Data(s.pairs.in[2])
	for j0 := 0; j0 < out.Clips; j0 += blockClips {
		if err := ctx.Err(); err != nil {
			return err
		}
		some := min(blockClips, out.Clips-j0)
		copy(clips, speech[j0*s.clips.each:][:some*s.clips.each])
		copy(frames, lengths[j0:j0+some])
		for j := some; j < blockClips; j++ {
			frames[j] = 1 // a place that is not used
		}
		if err := s.pairs.m.Run(); err != nil {
			return err
		}
		scores := s.pairs.m.Data(s.pairs.out)
		for i := range n {
			for j := range some {
				out.S[(i0+i)*out.Clips+j0+j] += float64(scores[i*blockClips+j])
			}
		}
	}
	return nil
}

// Candidates lists the pictures and clips of pairs, each picture once, in the
// order of the pairs, and for each clip the place of its picture in the list.
func Candidates(pairs []minibatch.Pair) (images, clips, imageOf []int) {
	place := map[string]int{}
	for _, p := range pairs {
		at, ok := place[p.Photo]
		if !ok {
			at = len(images)
			place[p.Photo] = at
			images = append(images, p.Image)
		}
		clips, imageOf = append(clips, p.Clip), append(imageOf, at)
	}
	return images, clips, imageOf
}
