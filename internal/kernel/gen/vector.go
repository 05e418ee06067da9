package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Predicates of VCMPPS; with the second operand first in Go's order,
// VCMPPS(p, b, a, to) compares a with b.
const (
	unordered  = 3
	notEqual   = 4 // true for NaN
	notLessEq  = 6 // true for NaN
	ordered    = 7
	notGreater = 26 // true for NaN
	greaterNoE = 30
)

// A vector is the state of writing one function that goes along vectors, all n
// long, n being a multiple of the lanes.
type vector struct {
	*build.Context
	*isa
	ptrs    map[string]reg.GPPhysical
	factors []float32 // that networks multiply by, for the table of the file
}

func vectors(ctx *build.Context, s *isa) {
	v := &vector{Context: ctx, isa: s}
	v.gather()
	v.deal()
	v.transpose()
	v.adam()
	v.relu()
	v.reluBackward()
	v.add()
	v.axpy()
	v.squares()
	v.small()
	v.max(false)
	v.max(true)
}

// begin opens a function: params are its slices, rest its other parameters.
func (v *vector) begin(name, signature string, slices ...string) {
	v.Function(v.name + name)
	v.Attributes(attr.NOSPLIT)
	v.Doc(v.name + name + " is a Set." + name + ".")
	v.Pragma("noescape")
	v.SignatureExpr(signature)
	v.ptrs = map[string]reg.GPPhysical{}
	for i, s := range slices {
		v.ptrs[s] = []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11}[i]
		v.Load(v.Param(s), v.ptrs[s])
	}
	v.Load(v.Param("n"), regK)
}

// loop runs body for each vector and closes the function.
func (v *vector) loop(slices []string, body func()) {
	v.Label("loop")
	body()
	for _, s := range slices {
		v.ADDQ(operand.U32(v.bytes()), v.ptrs[s])
	}
	v.SUBQ(operand.U32(v.lanes), regK)
	v.JNZ(operand.LabelRef("loop"))
	v.end()
}

func (v *vector) end() {
	v.VZEROUPPER()
	v.RET()
}

func (v *vector) at(name string) operand.Mem { return operand.Mem{Base: v.ptrs[name]} }

// wide is whether the set has mask registers.
func (v *vector) wide() bool { return v.lanes == 16 }

func (v *vector) gather() {
	v.begin("Gather", "func(dst, src *float32, stride, n, rows int)", "dst", "src")
	stride, row := reg.RSI, reg.RDI
	v.Load(v.Param("stride"), stride)
	v.Load(v.Param("rows"), row)
	t := &tile{Context: v.Context, isa: v.isa}
	tail := reg.RDX
	v.MOVQ(row, tail)
	t.mask(t, tail)
	v.Load(v.Param("n"), regK) // the mask may have used it
	v.SHLQ(operand.Imm(2), row)
	v.Label("loop")
	v.loadTail(t, v.at("src"), v.vec[0])
	// AVX2 stores all lanes, for its masked store is slow: the next row, or
	// the spare room at the end, takes what is too much.
	if v.wide() {
		v.storeTail(t, v.vec[0], v.at("dst"))
	} else {
		v.VMOVUPS(v.vec[0], v.at("dst"))
	}
	v.ADDQ(stride, v.ptrs["src"])
	v.ADDQ(row, v.ptrs["dst"])
	v.DECQ(regK)
	v.JNZ(operand.LabelRef("loop"))
	v.end()
}

// deal reads rows from end to end, asking for the next ones, and writes whole
// cache lines.
func (v *vector) deal() {
	const soon = 2048 // bytes: the page after is not fetched by itself
	v.begin("Deal", "func(dst, src *float32, ld, stride, n, rows int)", "dst", "src")
	ld, stride, rows := reg.RSI, reg.RDX, reg.RBX
	v.Load(v.Param("ld"), ld)
	v.Load(v.Param("stride"), stride)
	v.Load(v.Param("rows"), rows)
	from, to, left := reg.R10, reg.R11, reg.RDI
	wide := 2 * v.bytes()
	v.Label("row")
	v.MOVQ(v.ptrs["src"], from)
	v.MOVQ(v.ptrs["dst"], to)
	v.MOVQ(regK, left)
	v.Label("panel")
	for line := 0; line < wide; line += 64 {
		v.PREFETCHT0(operand.Mem{Base: from, Disp: soon + line})
	}
	v.VMOVUPS(operand.Mem{Base: from}, v.vec[0])
	v.VMOVUPS(operand.Mem{Base: from, Disp: v.bytes()}, v.vec[1])
	v.VMOVUPS(v.vec[0], operand.Mem{Base: to})
	v.VMOVUPS(v.vec[1], operand.Mem{Base: to, Disp: v.bytes()})
	v.ADDQ(operand.U32(wide), from)
	v.ADDQ(stride, to)
	v.DECQ(left)
	v.JNZ(operand.LabelRef("panel"))
	v.ADDQ(ld, v.ptrs["src"])
	v.ADDQ(operand.U32(wide), v.ptrs["dst"])
	v.DECQ(rows)
	v.JNZ(operand.LabelRef("row"))
	v.end()
}

func (v *vector) adam() {
	all := []string{"w", "grad", "m", "v"}
	v.begin("Adam", "func(w, grad, m, v *float32, n int, consts *float32)", all...)
	v.Load(v.Param("consts"), regTmp)
	c := v.vec[8:15] // beta1, rest1, beta2, rest2, rate, scale, eps
	for i, r := range c {
		v.VBROADCASTSS(operand.Mem{Base: regTmp, Disp: i * float}, r)
	}
	d, m, s, x := v.vec[0], v.vec[1], v.vec[2], v.vec[3]
	v.loop(all, func() {
		v.VMOVUPS(v.at("grad"), d)
		v.VMULPS(v.at("m"), c[0], m)
		v.VMULPS(d, c[1], x)
		v.VADDPS(x, m, m)
		v.VMOVUPS(m, v.at("m"))
		v.VMULPS(v.at("v"), c[2], s)
		v.VMULPS(d, d, x)
		v.VMULPS(x, c[3], x)
		v.VADDPS(x, s, s)
		v.VMOVUPS(s, v.at("v"))
		v.VSQRTPS(s, s)
		v.VMULPS(c[5], s, s)
		v.VADDPS(c[6], s, s)
		v.VMULPS(c[4], m, m)
		v.VDIVPS(s, m, m)
		v.VMOVUPS(v.at("w"), x)
		v.VSUBPS(m, x, x)
		v.VMOVUPS(x, v.at("w"))
	})
}

func (v *vector) relu() {
	all := []string{"x", "y"}
	v.begin("ReLU", "func(x, y *float32, n int)", all...)
	zero, a := v.vec[0], v.vec[1]
	v.zero(v.tile(), zero)
	v.loop(all, func() { // max gives its second operand, x, for NaN
		v.VMAXPS(v.at("x"), zero, a)
		v.VMOVUPS(a, v.at("y"))
	})
}

func (v *vector) tile() *tile { return &tile{Context: v.Context, isa: v.isa} }

func (v *vector) reluBackward() {
	all := []string{"y", "dy", "dx"}
	v.begin("ReLUBackward", "func(y, dy, dx *float32, n int)", all...)
	zero, a, b := v.vec[0], v.vec[1], v.vec[2]
	v.zero(v.tile(), zero)
	v.loop(all, func() {
		v.VMOVUPS(v.at("y"), a)
		if v.wide() {
			v.VCMPPS(operand.Imm(notLessEq), zero, a, reg.K1)
			v.VMOVUPS_Z(v.at("dy"), reg.K1, b)
		} else {
			v.VCMPPS(operand.Imm(notLessEq), zero, a, a)
			v.VANDPS(v.at("dy"), a, b)
		}
		v.VMOVUPS(b, v.at("dx"))
	})
}

func (v *vector) add() {
	all := []string{"x", "y"}
	v.begin("Add", "func(x, y *float32, n int)", all...)
	v.loop(all, func() {
		v.VMOVUPS(v.at("y"), v.vec[0])
		v.VADDPS(v.at("x"), v.vec[0], v.vec[0])
		v.VMOVUPS(v.vec[0], v.at("y"))
	})
}

func (v *vector) axpy() {
	all := []string{"x", "y"}
	v.begin("Axpy", "func(alpha float32, x, y *float32, n int)", all...)
	a := v.vec[1]
	v.VBROADCASTSS(operand.NewParamAddr("alpha", 0), a)
	v.loop(all, func() {
		v.VMULPS(v.at("x"), a, v.vec[0])
		v.VADDPS(v.at("y"), v.vec[0], v.vec[0])
		v.VMOVUPS(v.vec[0], v.at("y"))
	})
}

func (v *vector) squares() {
	all := []string{"x", "y"}
	v.begin("Squares", "func(x, y *float32, n int)", all...)
	v.loop(all, func() {
		v.VMOVUPS(v.at("x"), v.vec[0])
		v.VMULPS(v.vec[0], v.vec[0], v.vec[0])
		v.VADDPS(v.at("y"), v.vec[0], v.vec[0])
		v.VMOVUPS(v.vec[0], v.at("y"))
	})
}

func (v *vector) small() {
	v.begin("Small", "func(x, limit *float32, bits *uint8, n int)", "x", "limit", "bits")
	zero, noSign, x, size := v.vec[0], v.vec[1], v.vec[2], v.vec[3]
	v.zero(v.tile(), zero)
	if v.wide() {
		v.VPTERNLOGD(operand.U8(0xff), noSign, noSign, noSign)
	} else {
		v.VPCMPEQD(noSign, noSign, noSign)
	}
	v.VPSRLD(operand.U8(1), noSign, noSign)
	v.loop([]string{"x", "limit"}, func() {
		v.VMOVUPS(v.at("x"), x)
		if v.wide() {
			v.VPANDD(noSign, x, size)
			v.VCMPPS(operand.Imm(notGreater), v.at("limit"), size, reg.K1)
			v.VCMPPS(operand.Imm(notEqual), zero, x, reg.K1, reg.K1)
			v.KMOVW(reg.K1, reg.EAX)
			v.MOVW(reg.AX, v.at("bits"))
		} else {
			v.VANDPS(noSign, x, size)
			v.VCMPPS(operand.Imm(notGreater), v.at("limit"), size, size)
			v.VCMPPS(operand.Imm(notEqual), zero, x, x)
			v.VANDPS(size, x, x)
			v.VMOVMSKPS(x, reg.EAX)
			v.MOVB(reg.AL, v.at("bits"))
		}
		v.ADDQ(operand.U32(v.lanes/8), v.ptrs["bits"])
	})
}

// max takes x where x > y, or x is NaN and y is not; with arg it notes at there.
func (v *vector) max(arg bool) {
	all := []string{"x", "y"}
	if arg {
		all = append(all, "arg")
		v.begin("MaxArg", "func(x, y *float32, arg *int32, n int, at int32)", all...)
		v.Load(v.Param("at"), reg.EAX)
		v.VMOVD(reg.EAX, reg.X5)
		v.VPBROADCASTD(reg.X5, v.vec[5])
	} else {
		v.begin("Max", "func(x, y *float32, n int)", all...)
	}
	x, y, gt, nan, at := v.vec[0], v.vec[1], v.vec[2], v.vec[3], v.vec[5]
	v.loop(all, func() {
		v.VMOVUPS(v.at("x"), x)
		v.VMOVUPS(v.at("y"), y)
		if v.wide() {
			v.VCMPPS(operand.Imm(unordered), x, x, reg.K1)
			v.VCMPPS(operand.Imm(ordered), y, y, reg.K1, reg.K1)
			v.VCMPPS(operand.Imm(greaterNoE), y, x, reg.K2)
			v.KORW(reg.K1, reg.K2, reg.K1)
			v.VMOVUPS(x, reg.K1, v.at("y"))
			if arg {
				v.VMOVDQU32(at, reg.K1, v.at("arg"))
			}
			return
		}
		v.VCMPPS(operand.Imm(unordered), x, x, nan)
		v.VCMPPS(operand.Imm(ordered), y, y, gt)
		v.VANDPS(gt, nan, nan)
		v.VCMPPS(operand.Imm(greaterNoE), y, x, gt)
		v.VORPS(gt, nan, nan)
		v.VBLENDVPS(nan, x, y, y)
		v.VMOVUPS(y, v.at("y"))
		if arg {
			v.VMOVUPS(v.at("arg"), y)
			v.VBLENDVPS(nan, at, y, y)
			v.VMOVUPS(y, v.at("arg"))
		}
	})
}
