package scenes

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// A source is where an example's random numbers come from. Each purpose has a
// sequence of its own, so that a change to how scenes are worded leaves the
// pictures as they were.
type source struct {
	seed  int64
	split string
	index int
}

func (s source) rand(purpose string) *rand.Rand {
	h := sha256.Sum256(fmt.Appendf(nil, "scenes %d %s %d %s", s.seed, s.split, s.index, purpose))
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:])))
}

// tries bounds the search for a scene of one example. A held-out scene comes
// once in 8 tries and a held-out pair once in about 40, unless the world is
// nearly used up.
const tries = 100_000

// plan decides all scenes and captions, in the order train, validation, hard.
func plan(ctx context.Context, p Params) ([]example, error) {
	b := &builder{seed: p.Seed, held: map[string]bool{}, texts: map[string]bool{}}
	for i := range p.Validation {
		if err := b.validation(i); err != nil {
			return nil, err
		}
	}
	for i := range p.Hard / 2 {
		if err := b.hard(i); err != nil {
			return nil, err
		}
	}
	for i := range p.Train {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := b.train(i); err != nil {
			return nil, err
		}
	}
	return b.examples, nil
}

// A builder collects examples and what must not come twice.
type builder struct {
	seed     int64
	held     map[string]bool // keys of the held-out scenes used
	texts    map[string]bool // their captions
	examples []example
}

func (b *builder) add(id, split, group string, s scene, from source) string {
	text := caption(s, from.rand("caption"))
	b.examples = append(b.examples, example{id: id, split: split, group: group, scene: s, text: text, noise: from})
	return text
}

// addHeld adds a held-out example.
func (b *builder) addHeld(id, split, group string, s scene, from source) {
	b.held[s.key()] = true
	b.texts[b.add(id, split, group, s, from)] = true
}

func (b *builder) validation(i int) error {
	from := source{b.seed, "validation", i}
	r := from.rand("scene")
	for range tries {
		if s := newScene(r); s.heldOut() && !b.held[s.key()] {
			b.addHeld(fmt.Sprintf("validation-%05d", i), "validation", "", s, from)
			return nil
		}
	}
	return fmt.Errorf("draw validation %d: no new held-out scene in %d tries", i, tries)
}

// hard adds two examples, scene and twin, numbered 2i and 2i+1.
func (b *builder) hard(i int) error {
	r := source{b.seed, "hard", i}.rand("scene")
	for range tries {
		s := newScene(r)
		twins := s.twins()
		if !s.heldOut() || b.held[s.key()] || len(twins) == 0 {
			continue
		}
		twin := pick(r, twins)
		if !twin.heldOut() || b.held[twin.key()] {
			continue
		}
		group := fmt.Sprintf("hard-%05d", i)
		for k, s := range []scene{s, twin} {
			n := 2*i + k
			b.addHeld(fmt.Sprintf("hard-%05d", n), "hard", group, s, source{b.seed, "hard-drawn", n})
		}
		return nil
	}
	return fmt.Errorf("draw hard pair %d: no new held-out pair in %d tries", i, tries)
}

// train adds an example that is not held out. The texts are compared as well:
// were two scenes ever to share a caption, the held-out figures would be a lie.
func (b *builder) train(i int) error {
	from := source{b.seed, "train", i}
	r := from.rand("scene")
	for range tries {
		s := newScene(r)
		if s.heldOut() {
			continue
		}
		id := fmt.Sprintf("train-%06d", i)
		if text := b.add(id, "train", "", s, from); b.held[s.key()] || b.texts[text] {
			return fmt.Errorf("draw %s: %q is held out", id, text)
		}
		return nil
	}
	return fmt.Errorf("draw train %d: every scene of %d is held out", i, tries)
}
