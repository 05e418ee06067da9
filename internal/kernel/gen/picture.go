package main

import (
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pictureFuncs are the functions on bytes. They are whole numbers, so the bits
// are those of Go on every path, and AVX2 serves the sets above it too: their
// shuffles work within 16 bytes, and more of them a vector save little.
var pictureFuncs = []string{"ResampleAcross", "ResampleDown", "YCbCrToRGB"}

// precision is that of kernel.Taps; split is how many of a weight's lower
// bits go into its first half.
const (
	precision = 22
	split     = 12
	half      = 1 << (precision - 1)
)

// A picture is the state of writing the functions on bytes.
type picture struct {
	*build.Context
	y [16]reg.VecPhysical
}

func pictures(ctx *build.Context) {
	p := &picture{Context: ctx, y: [16]reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}}
	p.across()
	p.down()
	p.yCbCr()
}

func (p *picture) begin(name, signature string) {
	p.Function("avx2" + name)
	p.Attributes(attr.NOSPLIT)
	p.Doc("avx2" + name + " is a Set." + name + ".")
	p.Pragma("noescape")
	p.SignatureExpr(signature)
}

// load loads the parameters called names into registers.
func (p *picture) load(names string, to ...reg.GPPhysical) {
	for i, name := range strings.Fields(names) {
		p.Load(p.Param(name), to[i])
	}
}

// constant is 32 bytes for VMOVDQU.
func (p *picture) constant(name string, b [32]uint8) operand.Mem {
	m := p.StaticGlobal(name)
	p.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, v := range b {
		p.AppendDatum(operand.U8(v))
	}
	return m
}

// words is 32 bytes as 8 numbers of 32 bits.
func (p *picture) words(name string, w [8]uint32) operand.Mem {
	var b [32]uint8
	for i, v := range w {
		for k := range 4 {
			b[4*i+k] = uint8(v >> (8 * k))
		}
	}
	return p.constant(name, b)
}

const none = 0x80 // of a shuffle: 0

// across takes 4 pixels at a time. With their bytes as 16-bit words, red and
// green in one half of a vector and blue in the other, VPMADDWD adds up pairs:
//
//	r0 r1 r2 r3 g0 g1 g2 g3 | b0 b1 b2 b3 0 0 0 0
func (p *picture) across() {
	var mask [32]uint8
	for i := range mask {
		mask[i] = none
	}
	for c := range 3 {
		for px := range 4 {
			mask[8*c+2*px] = uint8(3*px + c)
		}
	}
	spread := p.constant("spreadRGB", mask)
	rounding := p.words("roundRGB", [8]uint32{half, 0, half, 0, half})
	p.begin("ResampleAcross", "func(dst, src *uint8, first *int32, weights *int16, groups, n int)")
	dst, src, first, weights, groups, n := reg.R8, reg.R9, reg.R10, reg.R11, reg.RBX, reg.RSI
	p.load("dst src first weights groups n", dst, src, first, weights, groups, n)
	from, left := reg.RDX, reg.RDI
	low, high, px, w0, w1, shuffle, round := p.y[0], p.y[1], p.y[2], p.y[3], p.y[4], p.y[5], p.y[6]
	p.VMOVDQU(spread, shuffle)
	p.VMOVDQU(rounding, round)
	p.Label("pixel")
	p.MOVLQSX(operand.Mem{Base: first}, from)
	p.ADDQ(src, from)
	p.VMOVDQA(round, low)
	p.VPXOR(high, high, high)
	p.MOVQ(groups, left)
	p.Label("group")
	p.VBROADCASTI128(operand.Mem{Base: from}, px)
	p.VPSHUFB(shuffle, px, px)
	p.VPBROADCASTQ(operand.Mem{Base: weights}, w0)
	p.VPBROADCASTQ(operand.Mem{Base: weights, Disp: 8}, w1)
	p.VPMADDWD(px, w0, w0)
	p.VPMADDWD(px, w1, w1)
	p.VPADDD(w0, low, low)
	p.VPADDD(w1, high, high)
	p.ADDQ(operand.Imm(12), from)
	p.ADDQ(operand.Imm(16), weights)
	p.DECQ(left)
	p.JNZ(operand.LabelRef("group"))
	p.VPSLLD(operand.Imm(split), high, high)
	p.VPADDD(high, low, low)
	p.VPHADDD(low, low, low) // r g r g | b 0 b 0
	p.VEXTRACTI128(operand.Imm(1), low, reg.X1)
	p.VPUNPCKLQDQ(reg.X1, reg.X0, reg.X0) // r g b 0
	p.VPSRAD(operand.Imm(precision), reg.X0, reg.X0)
	p.VPACKSSDW(reg.X0, reg.X0, reg.X0)
	p.VPACKUSWB(reg.X0, reg.X0, reg.X0)
	p.VMOVD(reg.X0, operand.Mem{Base: dst})
	p.ADDQ(operand.Imm(4), first)
	p.ADDQ(operand.Imm(3), dst)
	p.DECQ(n)
	p.JNZ(operand.LabelRef("pixel"))
	p.VZEROUPPER()
	p.RET()
}

// down takes 32 bytes of two rows at a time, as pairs of 16-bit words. What is
// taken apart within 16 bytes is put together within them.
func (p *picture) down() {
	rounding := p.words("roundAll", [8]uint32{half, half, half, half, half, half, half, half})
	p.begin("ResampleDown", "func(dst, src *uint8, weights *int16, stride, taps, n int)")
	dst, src, weights, stride, taps, n := reg.R8, reg.R9, reg.R10, reg.R11, reg.RBX, reg.RSI
	p.load("dst src weights stride taps n", dst, src, weights, stride, taps, n)
	from, w, left := reg.RDX, reg.RDI, reg.RAX
	low, high := p.y[0:4], p.y[4:8]
	a, b, c, w0, w1, zero, t := p.y[8], p.y[9], p.y[10], p.y[11], p.y[12], p.y[13], p.y[14]
	p.VPXOR(zero, zero, zero)

	// add adds the rows in a and b, as bytes, times the weights at w.
	add := func() {
		p.VPBROADCASTD(operand.Mem{Base: w}, w0)
		p.VPBROADCASTD(operand.Mem{Base: w, Disp: 4}, w1)
		p.VPUNPCKLBW(b, a, c)
		p.VPUNPCKHBW(b, a, a)
		for i, pairs := range []reg.VecPhysical{c, a} {
			p.VPUNPCKLBW(zero, pairs, b)
			p.VPUNPCKHBW(zero, pairs, pairs)
			for j, x := range []reg.VecPhysical{b, pairs} {
				p.VPMADDWD(w0, x, t)
				p.VPMADDWD(w1, x, x)
				p.VPADDD(t, low[2*i+j], low[2*i+j])
				p.VPADDD(x, high[2*i+j], high[2*i+j])
			}
		}
	}
	p.Label("block")
	p.VMOVDQU(rounding, low[0])
	for i := range 4 {
		if i > 0 {
			p.VMOVDQA(low[0], low[i])
		}
		p.VPXOR(high[i], high[i], high[i])
	}
	p.MOVQ(src, from)
	p.MOVQ(weights, w)
	p.MOVQ(taps, left)
	p.SUBQ(operand.Imm(2), left)
	p.JL(operand.LabelRef("last"))
	p.Label("pair")
	p.VMOVDQU(operand.Mem{Base: from}, a)
	p.VMOVDQU(operand.Mem{Base: from, Index: stride, Scale: 1}, b)
	add()
	p.LEAQ(operand.Mem{Base: from, Index: stride, Scale: 2}, from)
	p.ADDQ(operand.Imm(8), w)
	p.SUBQ(operand.Imm(2), left)
	p.JGE(operand.LabelRef("pair"))
	p.Label("last")
	p.ADDQ(operand.Imm(2), left)
	p.JZ(operand.LabelRef("round"))
	p.VMOVDQU(operand.Mem{Base: from}, a)
	p.VMOVDQA(zero, b)
	add()
	p.Label("round")
	for i := range 4 {
		p.VPSLLD(operand.Imm(split), high[i], high[i])
		p.VPADDD(high[i], low[i], low[i])
		p.VPSRAD(operand.Imm(precision), low[i], low[i])
	}
	p.VPACKSSDW(low[1], low[0], low[0])
	p.VPACKSSDW(low[3], low[2], low[2])
	p.VPACKUSWB(low[2], low[0], low[0])
	p.VMOVDQU(low[0], operand.Mem{Base: dst})
	p.ADDQ(operand.Imm(32), src)
	p.ADDQ(operand.Imm(32), dst)
	p.SUBQ(operand.Imm(32), n)
	p.JNZ(operand.LabelRef("block"))
	p.VZEROUPPER()
	p.RET()
}

// yCbCr takes 8 pixels at a time, as 32-bit words: the loop of
// color.YCbCrToRGB.
func (p *picture) yCbCr() {
	var mask [32]uint8
	for i := range mask {
		mask[i] = none
	}
	for lane := range 2 {
		for px := range 4 {
			for c := range 3 {
				mask[16*lane+3*px+c] = uint8(4*px + c)
			}
		}
	}
	join := p.constant("joinRGB", mask)
	p.begin("YCbCrToRGB", "func(dst, y, cb, cr *uint8, half, n int)")
	dst, luma, cb, cr, doubled, n := reg.R8, reg.R9, reg.R10, reg.R11, reg.RBX, reg.RSI
	p.load("dst y cb cr half n", dst, luma, cb, cr, doubled, n)
	factor := func(v uint32, to reg.VecPhysical, x reg.Register) {
		p.MOVL(operand.U32(v), reg.EAX)
		p.VMOVD(reg.EAX, x)
		p.VPBROADCASTD(x, to)
	}
	// 1.402, .34414, .71414 and 1.772, and 257 of a byte, in 16 bits of fraction.
	factor(0x10101, p.y[8], reg.X8)
	factor(91881, p.y[9], reg.X9)
	factor(22554, p.y[10], reg.X10)
	factor(46802, p.y[11], reg.X11)
	factor(116130, p.y[12], reg.X12)
	factor(128, p.y[13], reg.X13)
	factor(255, p.y[14], reg.X14)
	p.VMOVDQU(join, p.y[15])
	gray, blue, red, r, g, b, zero := p.y[0], p.y[1], p.y[2], p.y[3], p.y[4], p.y[5], p.y[6]
	p.VPXOR(zero, zero, zero)
	p.Label("block")
	p.VPMOVZXBD(operand.Mem{Base: luma}, gray)
	p.TESTQ(doubled, doubled)
	p.JNZ(operand.LabelRef("double"))
	p.VPMOVZXBD(operand.Mem{Base: cb}, blue)
	p.VPMOVZXBD(operand.Mem{Base: cr}, red)
	p.ADDQ(operand.Imm(8), cb)
	p.ADDQ(operand.Imm(8), cr)
	p.JMP(operand.LabelRef("mix"))
	p.Label("double") // each for two pixels
	for _, c := range []struct {
		from reg.GPPhysical
		x    reg.VecPhysical
		to   reg.VecPhysical
	}{{cb, reg.X1, blue}, {cr, reg.X2, red}} {
		p.VMOVD(operand.Mem{Base: c.from}, c.x)
		p.VPUNPCKLBW(c.x, c.x, c.x)
		p.VPMOVZXBD(c.x, c.to)
		p.ADDQ(operand.Imm(4), c.from)
	}
	p.Label("mix")
	p.VPSUBD(p.y[13], blue, blue)
	p.VPSUBD(p.y[13], red, red)
	p.VPMULLD(p.y[8], gray, gray)
	p.VPMULLD(p.y[9], red, r)
	p.VPADDD(gray, r, r)
	p.VPMULLD(p.y[10], blue, g)
	p.VPMULLD(p.y[11], red, red)
	p.VPSUBD(g, gray, g)
	p.VPSUBD(red, g, g)
	p.VPMULLD(p.y[12], blue, b)
	p.VPADDD(gray, b, b)
	for _, c := range []reg.VecPhysical{r, g, b} {
		p.VPSRAD(operand.Imm(16), c, c)
		p.VPMAXSD(zero, c, c)
		p.VPMINSD(p.y[14], c, c)
	}
	p.VPSLLD(operand.Imm(8), g, g)
	p.VPSLLD(operand.Imm(16), b, b)
	p.VPOR(g, r, r)
	p.VPOR(b, r, r)
	p.VPSHUFB(p.y[15], r, r)
	p.VEXTRACTI128(operand.Imm(1), r, reg.X4)
	p.VMOVDQU(reg.X3, operand.Mem{Base: dst})
	p.VMOVDQU(reg.X4, operand.Mem{Base: dst, Disp: 12})
	p.ADDQ(operand.Imm(8), luma)
	p.ADDQ(operand.Imm(24), dst)
	p.SUBQ(operand.Imm(8), n)
	p.JNZ(operand.LabelRef("block"))
	p.VZEROUPPER()
	p.RET()
}
