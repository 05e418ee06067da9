package frames

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// How a logarithm takes a number apart: what is added puts the mantissa from the
// root of 1/2 to that of 2.
const (
	RootHalf = uint64(0x3fe6a09e00000000) // about the root of 1/2
	Mantissa = uint64(1)<<52 - 1
)

var (
	TwoTo52    = math.Float64bits(1 << 52)
	Biased     = math.Float64bits(1<<52 + 1023)
	ToRootHalf = math.Float64bits(1) - RootHalf
)

// log21 are the factors of atanh's series, to the 21st power.
func log21() []float64 {
	var out []float64
	for k := 21; k >= 3; k -= 2 {
		out = append(out, 2/float64(k))
	}
	return out
}

func (f *writer) log() {
	f.begin("Log", "func(x *float64, at, to float64, n int)")
	const lessOrEqual = 18
	x, n := f.arg("x"), f.arg("n")
	at, to := f.broadcast(operand.NewParamAddr("at", 8)), f.broadcast(operand.NewParamAddr("to", 16))
	f.Label("loop")
	v := f.load(f.at(x, 0))
	if f.wide() {
		f.VCMPPD(operand.Imm(lessOrEqual), at, v, reg.K1)
		f.VMOVAPD(to, reg.K1, v)
	} else {
		mask := f.new()
		f.VCMPPD(operand.Imm(lessOrEqual), at, v, mask)
		f.VBLENDVPD(mask, to, v, v)
	}
	m, k := f.new(), f.new()
	f.byBits(ToRootHalf, f.VPADDQ, f.VPADDQ_BCST, v, m)
	f.VPSRLQ(operand.Imm(52), m, k)
	f.byBits(TwoTo52, threeOf(f.VPOR), f.VPORQ_BCST, k, k)
	f.byBits(Biased, f.VSUBPD, f.VSUBPD_BCST, k, k)
	f.byBits(Mantissa, threeOf(f.VPAND), f.VPANDQ_BCST, m, m)
	f.byBits(RootHalf, f.VPADDQ, f.VPADDQ_BCST, m, m)
	s, d := f.new(), f.new()
	f.by(1, f.VADDPD, f.VADDPD_BCST, m, d)
	f.by(1, f.VSUBPD, f.VSUBPD_BCST, m, s)
	f.VDIVPD(d, s, s)
	z, p := f.mul(s, s), f.new()
	series := log21()
	f.VBROADCASTSD(f.factorBits(math.Float64bits(series[0])), p)
	for _, c := range series[1:] {
		f.by(c, f.VFMADD213PD, f.VFMADD213PD_BCST, z, p) // p = p*z + c
	}
	f.VMULPD(z, p, p)
	f.by(2, f.VADDPD, f.VADDPD_BCST, p, p)
	f.VMULPD(s, p, p)
	f.plusBy(math.Ln2, k, p)
	f.store(p, f.at(x, 0))
	f.ADDQ(operand.U32(f.bytes()), x)
	f.DECQ(n)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}

// threeOf is an instruction of three operands as those are that take masks, too.
func threeOf(op func(a, b, c operand.Op)) func(...operand.Op) {
	return func(ops ...operand.Op) { op(ops[0], ops[1], ops[2]) }
}
