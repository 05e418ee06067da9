package model

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/hearsight/hearsight/internal/nn"
)

// A Pretrained is a network's values for an image tower that is trained from
// there: [ImageTower] "vgg16" or "vgg19".
type Pretrained struct {
	name   string
	o      FrozenOptions
	l      *loader
	digest [sha256.Size]byte
}

// OpenPretrained reads the weights of vgg16 or vgg19, from the files and with the
// conventions that [OpenFrozen] takes; random values are those that the frozen
// network of this seed has.
func OpenPretrained(name, path string, o FrozenOptions) (*Pretrained, error) {
	if err := o.check(name); err != nil {
		return nil, err
	}
	if _, ok := vggBlocks[name]; !ok {
		return nil, fmt.Errorf("%s cannot be trained along: vgg16 and vgg19 can", name)
	}
	path, data, err := readWeights(name, path, o)
	if err != nil {
		return nil, err
	}
	l, err := newLoader(name, data, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Pretrained{name: name, o: o, l: l, digest: sha256.Sum256(data)}, nil
}

// Key names the values, for the key of a run that starts from them.
func (p *Pretrained) Key() string {
	return fmt.Sprintf("%s %s %x seed %d", p.name, p.o.Init, p.digest, p.o.Seed)
}

// Pixels is how a picture goes into the network.
func (p *Pretrained) Pixels() *PixelNorm { return p.l.how.norm() }

// Fill gives those layers of m's image tower that the network has its values;
// the head keeps its own. The error lists all tensors that do not fit.
func Fill[T nn.Float](p *Pretrained, m *Model[T]) error {
	has := vggBlocks[p.name]
	if p.o.Init == InitIdentity {
		has = vggBlocks["vgg16"]
	}
	in, filled := m.image.In, 0
	for i, l := range m.image.Layers {
		var b, c int
		if n, err := fmt.Sscanf(l.Name, "conv%d_%d", &b, &c); err == nil && n == 2 && b <= len(has) {
			filled++
			weight, bias := m.image.params[i][0].W, m.image.params[i][1].W
			if c > has[b-1] {
				identity(weight, bias, in)
			} else {
				name := vggTensor(has, b-1, c-1)
				w, v := p.l.get(name+".weight", len(bias), in, 3, 3), p.l.get(name+".bias", len(bias))
				if len(p.l.wrong) == 0 {
					take(weight, bias, w, v, in)
				}
			}
		}
		in = l.out(in)
	}
	if len(p.l.wrong) > 0 {
		return fmt.Errorf("weights of %s do not fit: %s", p.name, strings.Join(p.l.wrong, "; "))
	}
	if filled == 0 {
		return fmt.Errorf("image tower %s has no layer of %s", m.Image.Name, p.name)
	}
	return nil
}

// take copies a 3x3 convolution, [out][in][3][3] in the file, [3][3][in][out] in
// the tower.
func take[T nn.Float](weight, bias []T, w, b []float32, in int) {
	out := len(bias)
	for o := range out {
		for i := range in {
			for k := range 9 {
				weight[(k*in+i)*out+o] = T(w[(o*in+i)*9+k])
			}
		}
		bias[o] = T(b[o])
	}
}

// identity makes a 3x3 convolution hand on its input as it is.
func identity[T nn.Float](weight, bias []T, in int) {
	clear(weight)
	clear(bias)
	for c := range in {
		weight[(4*in+c)*in+c] = 1
	}
}
