package model

import (
	"fmt"
	"math"

	"github.com/hearsight/hearsight/internal/kernel"
)

// resnetStages are the stages 2 to 5 of ResNet50, torchvision's layer1 to
// layer4: blocks, and channels of the inner layers; the output has four times as
// many (He et al. 2016, table 1).
var resnetStages = []struct{ blocks, width int }{{3, 64}, {4, 128}, {6, 256}, {3, 512}}

// A bottleneck is one residual block: 1x1, 3x3, 1x1, plus the input, which a
// 1x1 convolution brings to shape in the first block of a stage.
type bottleneck struct {
	reduce, middle, expand, project *convLayer
}

// folded takes a convolution with the batch norm after it folded in:
// gamma*(x-mean)/sqrt(var+epsilon) + beta.
func (l *loader) folded(conv, norm string, k, stride, in, out int) *convLayer {
	gamma, beta := l.get(norm+".weight", out), l.get(norm+".bias", out)
	mean, variance := l.get(norm+".running_mean", out), l.get(norm+".running_var", out)
	if len(l.wrong) > 0 {
		l.get(conv+".weight", out, in, k, k) // so that all that is wrong is named
		if l.has(conv + ".bias") {
			l.get(conv+".bias", out)
		}
		return nil
	}
	scale, shift := make([]float64, out), make([]float64, out)
	for i := range scale {
		scale[i] = float64(gamma[i]) / math.Sqrt(float64(variance[i])+l.how.epsilon)
		shift[i] = float64(beta[i]) - float64(mean[i])*scale[i]
	}
	return l.conv(conv, k, stride, in, out, scale, shift)
}

// resnet50 is ResNet50 up to a stage: of 224x224, 4 gives 14x14x1024 and 5 gives
// 7x7x2048. The stride of a stage sits in its first block, in the 1x1 as in the
// original model or in the 3x3 as in torchvision's.
func (l *loader) resnet50(upTo int) *Frozen {
	stem := l.folded("conv1", "bn1", 7, 2, 3, 64)
	var blocks []bottleneck
	in := 64
	for i, stage := range resnetStages[:upTo-1] {
		out := 4 * stage.width
		for b := range stage.blocks {
			name, stride := fmt.Sprintf("layer%d.%d", i+1, b), 1
			if i > 0 && b == 0 {
				stride = 2
			}
			first, second := stride, 1
			if l.how.stride == StrideConv2 {
				first, second = 1, stride
			}
			block := bottleneck{
				reduce: l.folded(name+".conv1", name+".bn1", 1, first, in, stage.width),
				middle: l.folded(name+".conv2", name+".bn2", 3, second, stage.width, stage.width),
				expand: l.folded(name+".conv3", name+".bn3", 1, 1, stage.width, out),
			}
			if b == 0 {
				block.project = l.folded(name+".downsample.0", name+".downsample.1", 1, stride, in, out)
			}
			blocks = append(blocks, block)
			in = out
		}
	}
	// After the ReLU nothing is below the border's 0, so -Inf there is the same.
	pool := kernel.Pool2D{KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}
	return &Frozen{Out: in, side: 32, run: func(s *scratch, x []float32, h, w int) ([]float32, int, int) {
		y, h, w := stem.forward(s, x, h, w, true)
		s.give(x)
		oh, ow := pool.OutSize(h, w)
		x = s.take(oh * ow * 64)
		kernel.MaxPoolForward(pool, 1, h, w, 64, y, x, nil)
		s.give(y)
		h, w = oh, ow
		for _, b := range blocks {
			x, h, w = b.forward(s, x, h, w)
		}
		return x, h, w
	}}
}

// forward runs the block on x, which it gives back to scratch or returns: what
// the last convolution gives is added where the block's input lies.
func (b *bottleneck) forward(s *scratch, x []float32, h, w int) (y []float32, oh, ow int) {
	y = x
	if b.project != nil {
		y, _, _ = b.project.forward(s, x, h, w, false)
	}
	inner, ih, iw := b.reduce.forward(s, x, h, w, true)
	if b.project != nil {
		s.give(x)
	}
	middle, oh, ow := b.middle.forward(s, inner, ih, iw, true)
	s.give(inner)
	b.expand.forwardAdd(middle, oh, ow, y)
	s.give(middle)
	return y, oh, ow
}
