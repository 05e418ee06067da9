package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avx512 has 32 registers: 28 sums of 14 rows by 2 vectors, 2 of B, 2 of A.
// Per step of k that is 16 loads for 28 FMAs, so that both FMA units are busy.
func avx512() isa {
	return isa{
		name: "avx512", lanes: 16, mr: 14, nv: 2, fmaMemory: true,
		vec: []reg.VecPhysical{
			reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
			reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
			reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
			reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
		},
		table: func(*build.Context) {},
		zero:  func(t *tile, v reg.VecPhysical) { t.VPXORD(v, v, v) },
		mask: func(t *tile, n reg.GPPhysical) { // K1 = 1<<n - 1
			t.MOVQ(n, reg.RCX)
			t.MOVL(operand.U32(1), reg.EAX)
			t.SHLL(reg.CL, reg.EAX)
			t.DECL(reg.EAX)
			t.KMOVW(reg.EAX, reg.K1)
		},
		loadTail: func(t *tile, from operand.Mem, to reg.VecPhysical) {
			t.VMOVUPS_Z(from, reg.K1, to)
		},
		storeTail: func(t *tile, from reg.VecPhysical, to operand.Mem) {
			t.VMOVUPS(from, reg.K1, to)
		},
	}
}

// avx2 has 16 registers: 12 sums of 6 rows by 2 vectors, 2 of B, 2 of A. The
// mask of the last vector takes the last one when the sums are done.
func avx2() isa {
	maskReg := reg.Y15
	return isa{
		name: "avx2", lanes: 8, mr: 6, nv: 2,
		vec: []reg.VecPhysical{
			reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
			reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
		},
		table: tailMask,
		zero:  func(t *tile, v reg.VecPhysical) { t.VXORPS(v, v, v) },
		mask: func(t *tile, n reg.GPPhysical) { // the 8 words that start 8-n into 8 ones and 8 zeros
			t.MOVQ(n, reg.RCX)
			t.NEGQ(reg.RCX)
			t.LEAQ(operand.NewDataAddr(operand.NewStaticSymbol(maskTable), 0), regTmp)
			t.VMOVUPS(operand.Mem{Base: regTmp, Index: reg.RCX, Scale: 4, Disp: 32}, maskReg)
		},
		loadTail: func(t *tile, from operand.Mem, to reg.VecPhysical) {
			t.VMASKMOVPS(from, maskReg, to)
		},
		storeTail: func(t *tile, from reg.VecPhysical, to operand.Mem) {
			t.VMASKMOVPS(from, maskReg, to)
		},
	}
}

const maskTable = "tailMask"

// tailMask is the table behind avx2's mask.
func tailMask(ctx *build.Context) {
	ctx.StaticGlobal(maskTable)
	ctx.DataAttributes(attr.RODATA | attr.NOPTR)
	for range 8 {
		ctx.AppendDatum(operand.U32(0xffffffff))
	}
	for range 8 {
		ctx.AppendDatum(operand.U32(0))
	}
}
