package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose turns squares of lanes by lanes in registers: pairs of rows are
// interleaved, then pairs of pairs, which transposes each 4x4 piece within the
// 128-bit parts; then the parts are put in their places.
func (v *vector) transpose() {
	v.begin("Transpose", "func(dst, src *float32, ld, width, n int)", "dst", "src")
	const soon = 256 // bytes: rows are too many for the CPU to follow
	ld, width, at := reg.RSI, reg.RDX, regTmp
	v.Load(v.Param("ld"), ld)
	v.Load(v.Param("width"), width)
	a, b := v.vec[:v.lanes], v.vec[v.lanes:2*v.lanes]
	v.Label("loop")
	v.MOVQ(v.ptrs["src"], at)
	for i, r := range a {
		v.PREFETCHT0(operand.Mem{Base: at, Disp: soon})
		v.VMOVUPS(operand.Mem{Base: at}, r)
		if i < len(a)-1 {
			v.ADDQ(ld, at)
		}
	}
	for i := 0; i < v.lanes; i += 2 {
		v.VUNPCKLPS(a[i+1], a[i], b[i])
		v.VUNPCKHPS(a[i+1], a[i], b[i+1])
	}
	for i := 0; i < v.lanes; i += 4 {
		v.VUNPCKLPD(b[i+2], b[i], a[i])
		v.VUNPCKHPD(b[i+2], b[i], a[i+1])
		v.VUNPCKLPD(b[i+3], b[i+1], a[i+2])
		v.VUNPCKHPD(b[i+3], b[i+1], a[i+3])
	}
	for _, r := range v.placeParts(a, b) {
		v.VMOVUPS(r, operand.Mem{Base: v.ptrs["dst"]})
		v.ADDQ(width, v.ptrs["dst"])
	}
	v.ADDQ(operand.U32(v.bytes()), v.ptrs["src"])
	v.SUBQ(operand.U32(v.lanes), regK)
	v.JNZ(operand.LabelRef("loop"))
	v.end()
}

// placeParts: part p of a[4*g+j] belongs to part g of row 4*p+j.
func (v *vector) placeParts(a, b []reg.VecPhysical) []reg.VecPhysical {
	if !v.wide() {
		for j := range 4 {
			v.VPERM2F128(operand.Imm(0x20), a[j+4], a[j], b[j])
			v.VPERM2F128(operand.Imm(0x31), a[j+4], a[j], b[j+4])
		}
		return b
	}
	const even, odd = 0x88, 0xdd // parts 0 and 2, or 1 and 3, of both operands
	for j := range 4 {
		v.VSHUFF32X4(operand.Imm(even), a[4+j], a[j], b[j])
		v.VSHUFF32X4(operand.Imm(odd), a[4+j], a[j], b[4+j])
		v.VSHUFF32X4(operand.Imm(even), a[12+j], a[8+j], b[8+j])
		v.VSHUFF32X4(operand.Imm(odd), a[12+j], a[8+j], b[12+j])
	}
	for j := range 4 {
		v.VSHUFF32X4(operand.Imm(even), b[8+j], b[j], a[j])
		v.VSHUFF32X4(operand.Imm(even), b[12+j], b[4+j], a[4+j])
		v.VSHUFF32X4(operand.Imm(odd), b[8+j], b[j], a[8+j])
		v.VSHUFF32X4(operand.Imm(odd), b[12+j], b[4+j], a[12+j])
	}
	return a
}
