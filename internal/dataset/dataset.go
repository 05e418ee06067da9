// Package dataset joins what training and scoring see: captions, the frames of
// their sound and the photos they describe.
//
// Each of the three comes as an artifact of its own, made by its own stage, and
// any of them may lack items that were set aside on the way. A caption whose
// clip or photo is not there makes no pair.
//
//	captions.parquet: caption a#0, photo a, split train
//	mfcc-NN.parquet:  frames of a#0        ->  Pair{ID: a#0, Photo: a, Clip: 7, Image: 3}
//	features-NN:      feature map of a
//
// Feature maps of several networks become one: at each place, the channels of one
// stand behind those of another. Beside them may stand the maps of the mirror
// images of all photos or some.
//
// Contents are read when they are first asked for and kept.
package dataset

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

// Inputs are the artifacts to join. Either Features or Images is there.
type Inputs[P any] struct {
	Pairs, MFCC, Images rows.Parts[P]
	Features            []rows.Parts[P] // of one network each
	Mirrored            []rows.Parts[P] // of the same, of the photos' mirror images; may be left out
}

// Of makes Inputs from artifacts of one type, by the name of what they are. Names
// that are not there are left out.
func Of[P any, A rows.Parts[P]](of map[string][]A) Inputs[P] {
	all := func(name string) (out []rows.Parts[P]) {
		for _, a := range of[name] {
			out = append(out, a)
		}
		return out
	}
	one := func(name string) rows.Parts[P] {
		if len(of[name]) == 0 {
			return nil
		}
		return of[name][0]
	}
	return Inputs[P]{Pairs: one("pairs"), MFCC: one("mfcc"), Images: one("images"), Features: all("features"), Mirrored: all("mirrored")}
}

// Shape is what one photo and one frame look like.
type Shape struct {
	Height, Width, Channels int  // of a feature map or of a picture
	Pixels                  bool // pictures of uint8 rather than feature maps of float16
	Coeffs                  int  // numbers a frame

	Tower, Layer string // what made the feature maps, as their file says
	Sources      []int  // channels of each network, where feature maps are of several
}

// Source names the network and layer that feature maps come from, and their
// size: "vgg16, conv5_3: 14x14x512".
func (s Shape) Source() string {
	return fmt.Sprintf("%s, %s: %dx%dx%d", s.Tower, s.Layer, s.Height, s.Width, s.Channels)
}

// Data is joined pairs. It implements minibatch.Clips and minibatch.Images.
type Data struct {
	shape  Shape
	pairs  map[string][]minibatch.Pair // by split, in order of caption ids
	about  map[string]table.Caption    // caption id -> what is known of it
	clips  column[[]float32]
	images column[minibatch.Image]
	// mirror images, by the same indices; without any, nil
	mirrored  *column[minibatch.Image]
	hasMirror func(i int) bool
	close     []func() error

	captions, noClip, noPhoto int // all captions, and those without one of the two
}

// LeftOut says how many captions make no pair, and why; empty if all do.
func (d *Data) LeftOut() string {
	if d.noClip+d.noPhoto == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d captions make no pair: %d without a clip, %d without a photo", d.noClip+d.noPhoto, d.captions, d.noClip, d.noPhoto)
}

// column is contents read once, when first asked for.
type column[V any] struct {
	read func(i int) (V, error)
	once []sync.Once
	val  []V
	err  []error
}

func newColumn[V any](n int, read func(i int) (V, error)) column[V] {
	return column[V]{read: read, once: make([]sync.Once, n), val: make([]V, n), err: make([]error, n)}
}

func (c *column[V]) get(i int) (V, error) {
	c.once[i].Do(func() { c.val[i], c.err[i] = c.read(i) })
	return c.val[i], c.err[i]
}

// Open joins the inputs. The caller closes the Data.
func Open[P any](in Inputs[P]) (*Data, error) {
	d := &Data{pairs: map[string][]minibatch.Pair{}, about: map[string]table.Caption{}}
	images, err := openImages(d, in)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	clips, err := openClips(d, in.MFCC)
	if err == nil {
		err = join(d, in.Pairs, clips, images)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Shape returns what the photos and frames look like.
func (d *Data) Shape() Shape { return d.shape }

// Close closes the artifacts.
func (d *Data) Close() error {
	var err error
	for _, c := range d.close {
		err = errors.Join(err, c())
	}
	d.close = nil
	return err
}

// Frames returns clip i: frames x coefficients. It is safe for concurrent use.
func (d *Data) Frames(i int) ([]float32, error) { return d.clips.get(i) }

// Image returns photo i. Pixels are red, green, blue, whatever order the images
// are kept in, so that a model sees what it has learnt from. It is safe for
// concurrent use.
func (d *Data) Image(i int) (minibatch.Image, error) { return d.images.get(i) }

// Mirrored reports whether there are mirror images of pictures: of those that
// CheckMirrored is content with.
func (d *Data) Mirrored() bool { return d.mirrored != nil }

// Mirror returns the mirror image of picture i, an error if there is none.
func (d *Data) Mirror(i int) (minibatch.Image, error) { return d.mirrored.get(i) }

// Split returns the pairs of a split in the order of their captions' ids.
func (d *Data) Split(name string) []minibatch.Pair { return d.pairs[name] }

// Splits lists the splits that have pairs.
func (d *Data) Splits() []string {
	return slices.Sorted(maps.Keys(d.pairs))
}

// Caption returns the caption of a pair, by its id.
func (d *Data) Caption(id string) table.Caption { return d.about[id] }

func join[P any](d *Data, pairs rows.Parts[P], clips, images map[string]int) error {
	captions, err := rows.All(table.Captions, pairs)
	if err != nil {
		return fmt.Errorf("read captions: %w", err)
	}
	for _, c := range captions {
		clip, ok := clips[c.ID]
		image, okImage := images[c.PhotoID]
		d.captions++
		switch {
		case !ok:
			d.noClip++
			continue
		case !okImage:
			d.noPhoto++
			continue
		}
		d.pairs[c.Split] = append(d.pairs[c.Split], minibatch.Pair{ID: c.ID, Photo: c.PhotoID, Clip: clip, Image: image})
		d.about[c.ID] = c
	}
	for _, p := range d.pairs {
		slices.SortFunc(p, func(a, b minibatch.Pair) int { return strings.Compare(a.ID, b.ID) })
	}
	if len(d.pairs) == 0 {
		return fmt.Errorf("none of %d captions has both a clip and a photo: are the inputs of one data set?", len(captions))
	}
	return nil
}

func openClips[P any](d *Data, mfcc rows.Parts[P]) (map[string]int, error) {
	set, at, refs, err := index(table.MFCCs, mfcc)
	if err != nil {
		return nil, fmt.Errorf("read mfcc: %w", err)
	}
	d.close = append(d.close, set.Close)
	if len(refs) == 0 {
		return nil, errors.New("read mfcc: there are no clips")
	}
	first, err := set.Row(refs[0])
	if err != nil {
		return nil, fmt.Errorf("read mfcc: %w", err)
	}
	d.shape.Coeffs = int(first.NCoeffs)
	d.clips = newColumn(len(refs), func(i int) ([]float32, error) {
		r, err := set.Row(refs[i])
		switch {
		case err != nil:
		case int(r.NCoeffs) != d.shape.Coeffs:
			err = fmt.Errorf("%s has %d coefficients a frame, others have %d", r.ID, r.NCoeffs, d.shape.Coeffs)
		case len(r.Features) != int(r.NFrames)*int(r.NCoeffs):
			err = fmt.Errorf("%s has %d values in %d frames of %d", r.ID, len(r.Features), r.NFrames, r.NCoeffs)
		}
		return r.Features, err
	})
	return at, nil
}

func index[R, P any](f table.Format[R], a rows.Parts[P]) (*rows.Set[R], map[string]int, []rows.Ref, error) {
	entries, err := rows.List(f, a)
	if err != nil {
		return nil, nil, nil, err
	}
	at, refs := make(map[string]int, len(entries)), make([]rows.Ref, len(entries))
	for i, e := range entries {
		at[e.ID], refs[i] = i, e.Ref
	}
	set, err := rows.Open(f, a)
	return set, at, refs, err
}
