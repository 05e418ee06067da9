package main

import (
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/hearsight/hearsight/internal/kernel/gen/frames"
)

// An elementary writes e^x and its like: float32 in and out, float64 between,
// half a vector of float32 at a time. simd/elementary.go says what, operation
// by operation, with the same factors.
type elementary struct {
	*vector
	held  map[uint64]reg.VecPhysical // factors in registers
	table []uint64                   // all factors, in all lanes
}

const elementTable = "elements"

// Predicates of VCMPPD, as of VCMPPS.
const (
	equal   = 0
	less    = 17
	notLess = 21 // true for NaN
)

// Factors, as bits.
var (
	expLimit = bits(105)
	expFloor = bits(-105)
	perLn2   = bits(1 / math.Ln2)
	ln2      = bits(math.Ln2)
	expMagic = bits(3 << 51)
	one      = bits(1)
	minusOne = bits(-1)
	two      = bits(2)
	infinity = bits(math.Inf(1))
	noNumber = bits(math.NaN())
	minusInf = bits(math.Inf(-1))
	signBit  = uint64(1) << 63
	noSign   = signBit - 1
	exp8     = []uint64{bits(1. / 40320), bits(1. / 5040), bits(1. / 720), bits(1. / 120), bits(1. / 24), bits(1. / 6), bits(1. / 2), one}
	log13    = []uint64{bits(2. / 11), bits(2. / 9), bits(2. / 7), bits(2. / 5), bits(2. / 3), two}
)

func bits(x float64) uint64 { return math.Float64bits(x) }

func (v *vector) elementary() {
	e := &elementary{vector: v}
	exp := slices.Concat([]uint64{expLimit, expFloor, perLn2, ln2, expMagic}, exp8)
	e.function("Exp", exp, e.exp)
	e.function("Sigmoid", slices.Concat(exp, []uint64{minusOne}), e.sigmoid)
	e.function("Tanh", slices.Concat(exp, []uint64{two, noSign, signBit}), e.tanh)
	e.function("Log", slices.Concat([]uint64{one, ln2, frames.RootHalf, frames.ToRootHalf, frames.Mantissa, frames.TwoTo52, frames.Biased}, log13), e.log)
	v.StaticGlobal(elementTable)
	v.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, k := range e.table {
		for range v.lanes / 2 {
			v.AppendDatum(operand.U64(k))
		}
	}
}

// function writes y = f(x), body being from x in the first register to f(x) in
// the second. Of its factors the first two, at least, are in registers.
func (e *elementary) function(name string, factors []uint64, body func(x, y reg.VecPhysical)) {
	all := []string{"x", "y"}
	e.begin(name, "func(x, y *float32, n int)", all...)
	e.held = map[uint64]reg.VecPhysical{}
	free := e.vec[8:]
	if !e.wide() {
		free = e.vec[14:]
	}
	for i, k := range factors[:min(len(factors), len(free))] {
		e.VMOVUPD(e.factor(k), free[i])
		e.held[k] = free[i]
	}
	e.loop(all, func() {
		half := e.bytes() / 2
		for i := range 2 {
			x, y := e.vec[0], e.vec[1]
			e.VCVTPS2PD(operand.Mem{Base: e.ptrs["x"], Disp: i * half}, x)
			body(x, y)
			to := operand.Mem{Base: e.ptrs["y"], Disp: i * half}
			if e.wide() {
				e.VCVTPD2PS(y, y.AsY())
				e.VMOVUPS(y.AsY(), to)
			} else {
				e.VCVTPD2PSY(y, y.AsX())
				e.VMOVUPS(y.AsX(), to)
			}
		}
	})
}

// factor is where k is.
func (e *elementary) factor(k uint64) operand.Op {
	if r, ok := e.held[k]; ok {
		return r
	}
	i := slices.Index(e.table, k)
	if i < 0 {
		i = len(e.table)
		e.table = append(e.table, k)
	}
	return operand.NewDataAddr(operand.NewStaticSymbol(elementTable), i*e.bytes())
}

// power leaves scale and p of e^y = scale + scale*p; y is lost.
func (e *elementary) power(y, scale, p reg.VecPhysical) {
	k := e.vec[4]
	e.VMINPD(y, e.factor(expLimit), y) // y if that is NaN
	e.VMAXPD(y, e.factor(expFloor), y)
	e.VMOVUPD(e.factor(perLn2), k)
	e.VFMADD213PD(e.factor(expMagic), y, k)
	e.VPSLLQ(operand.Imm(52), k, scale)
	e.VPADDQ(e.factor(one), scale, scale)
	e.VSUBPD(e.factor(expMagic), k, k)
	e.VFNMADD231PD(e.factor(ln2), k, y)
	e.polynomial(exp8, y, p)
	e.VMULPD(y, p, p)
}

// polynomial is that of x with these factors, the highest power's first.
func (e *elementary) polynomial(factors []uint64, x, p reg.VecPhysical) {
	e.VMOVUPD(e.factor(factors[0]), p)
	for _, k := range factors[1:] {
		e.VFMADD213PD(e.factor(k), x, p)
	}
}

func (e *elementary) exp(x, y reg.VecPhysical) {
	scale := e.vec[2]
	e.power(x, scale, y)
	e.VFMADD213PD(scale, scale, y)
}

func (e *elementary) sigmoid(x, y reg.VecPhysical) {
	scale := e.vec[2]
	e.VMULPD(e.factor(minusOne), x, x)
	e.power(x, scale, y)
	e.VFMADD213PD(scale, scale, y)
	e.VADDPD(e.factor(one), y, y)
	e.VMOVUPD(e.factor(one), scale)
	e.VDIVPD(y, scale, y)
}

func (e *elementary) tanh(x, y reg.VecPhysical) {
	scale, sign := e.vec[2], e.vec[3]
	e.and(e.factor(signBit), x, sign)
	e.and(e.factor(noSign), x, x)
	e.VADDPD(x, x, x)
	e.power(x, scale, y)
	e.VSUBPD(e.factor(one), scale, x)
	e.VFMADD213PD(x, scale, y)
	e.VADDPD(e.factor(two), y, x)
	e.VDIVPD(x, y, y)
	e.or(sign, y, y)
}

func (e *elementary) log(x, y reg.VecPhysical) {
	m, k, s, z := e.vec[2], e.vec[3], e.vec[4], e.vec[5]
	e.VPADDQ(e.factor(frames.ToRootHalf), x, m)
	e.VPSRLQ(operand.Imm(52), m, k)
	e.or(e.factor(frames.TwoTo52), k, k)
	e.VSUBPD(e.factor(frames.Biased), k, k)
	e.and(e.factor(frames.Mantissa), m, m)
	e.VPADDQ(e.factor(frames.RootHalf), m, m)
	e.VADDPD(e.factor(one), m, s)
	e.VSUBPD(e.factor(one), m, m)
	e.VDIVPD(s, m, s)
	e.VMULPD(s, s, z)
	e.polynomial(log13, z, y)
	e.VMULPD(s, y, y)
	e.VFMADD231PD(e.factor(ln2), k, y)
	e.where(less, bits(0), x, noNumber, y)
	e.where(equal, bits(0), x, minusInf, y)
	e.choose(notLess, infinity, x, x, y)
}

// where puts value where x compares so with k.
func (e *elementary) where(predicate, k uint64, x reg.VecPhysical, value uint64, y reg.VecPhysical) {
	v := e.vec[2]
	e.VMOVUPD(e.factor(value), v)
	e.choose(predicate, k, x, v, y)
}

func (e *elementary) choose(predicate, k uint64, x, value, y reg.VecPhysical) {
	if e.wide() {
		e.VCMPPD(operand.Imm(predicate), e.factor(k), x, reg.K1)
		e.VMOVUPD(value, reg.K1, y)
		return
	}
	mask := e.vec[3]
	e.VCMPPD(operand.Imm(predicate), e.factor(k), x, mask)
	e.VBLENDVPD(mask, value, y, y)
}

func (e *elementary) and(a operand.Op, b, to reg.VecPhysical) {
	if e.wide() {
		e.VPANDQ(a, b, to)
		return
	}
	e.VPAND(a, b, to)
}

func (e *elementary) or(a operand.Op, b, to reg.VecPhysical) {
	if e.wide() {
		e.VPORQ(a, b, to)
		return
	}
	e.VPOR(a, b, to)
}
