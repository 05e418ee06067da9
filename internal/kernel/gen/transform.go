package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// How networks become functions, and the memory that these use.
const (
	pieceRows  = 64  // of a piece of the weights
	pieceLine  = 16  // float32 values more, lest its products share cache sets
	tmpVectors = 200 // of scratch: simd.Tmp
)

// pieceStride is from product to product, and tap to tap, in a piece.
func (s *isa) pieceStride() int { return pieceRows*s.nv*s.lanes + pieceLine }

const factorTable = "factors"

// factorTable writes the factors of the networks before.
func (v *vector) factorTable() {
	(&codelet{vector: v, consts: factorTable}).table()
}

// tmp is vector from+i of the scratch.
func (v *vector) tmp(from int) func(i int) operand.Mem {
	return func(i int) operand.Mem {
		if from+i >= tmpVectors {
			panic(fmt.Sprintf("gen: %s needs more than %d vectors of scratch", v.name, tmpVectors))
		}
		return operand.Mem{Base: v.ptrs["tmp"], Disp: (from + i) * v.bytes()}
	}
}

// network emits outs for the vectors at in.
func (v *vector) network(outs []*expr, in, out, spill func(i int) operand.Mem) {
	c := &codelet{vector: v, consts: factorTable, in: in, out: out, spill: spill}
	c.write(outs)
}

// throughTmp writes a function from vectors a register apart to vectors
// another one apart.
func (v *vector) throughTmp(name string, ins, places int, outs []*expr) {
	v.begin(name, "func(src, dst, tmp *float32, row, pos, n int)", "src", "dst", "tmp")
	row, pos := reg.RSI, reg.RDX
	v.Load(v.Param("row"), row)
	v.Load(v.Param("pos"), pos)
	v.Label("loop")
	v.move("gather", v.ptrs["src"], row, 0, ins, true, nil)
	v.network(outs, v.tmp(0), v.tmp(ins), v.tmp(ins+places))
	v.move("scatter", v.ptrs["dst"], pos, ins, places, false, nil)
	v.next("src", "dst")
}

// onPieces writes a function between two pieces.
func (v *vector) onPieces(name, from, to string, outs []*expr) {
	v.begin(name, fmt.Sprintf("func(%s, %s, tmp *float32, n int)", from, to), from, to, "tmp")
	piece := func(name string) func(i int) operand.Mem {
		return func(i int) operand.Mem {
			return operand.Mem{Base: v.ptrs[name], Disp: i * v.pieceStride() * float}
		}
	}
	v.Label("loop")
	v.network(outs, piece(from), piece(to), v.tmp(0))
	v.next(from, to)
}

// move copies n vectors between memory at base, step apart, and tmp from place
// from on.
func (v *vector) move(label string, base, step reg.GPPhysical, from, n int, in bool, each func(r reg.VecPhysical)) {
	at, tmp, left := regTmp, reg.RBX, reg.R12
	v.MOVQ(base, at)
	v.LEAQ(operand.Mem{Base: v.ptrs["tmp"], Disp: from * v.bytes()}, tmp)
	v.MOVQ(operand.U32(n), left)
	v.Label(label)
	if in {
		v.VMOVUPS(operand.Mem{Base: at}, v.vec[0])
		v.VMOVUPS(v.vec[0], operand.Mem{Base: tmp})
	} else {
		v.VMOVUPS(operand.Mem{Base: tmp}, v.vec[0])
		if each != nil {
			each(v.vec[0])
		}
		v.VMOVUPS(v.vec[0], operand.Mem{Base: at})
	}
	v.ADDQ(step, at)
	v.ADDQ(operand.U32(v.bytes()), tmp)
	v.DECQ(left)
	v.JNZ(operand.LabelRef(label))
}

// prefetch asks for lines of memory, as far as L2.
func (v *vector) prefetch() {
	v.begin("Prefetch", "func(src *float32, row, width, n int)", "src")
	row, width, at, left := reg.RSI, reg.RDX, regTmp, reg.RBX
	v.Load(v.Param("row"), row)
	v.Load(v.Param("width"), width)
	v.Label("loop")
	v.MOVQ(v.ptrs["src"], at)
	v.MOVQ(width, left)
	v.Label("line")
	v.PREFETCHT1(operand.Mem{Base: at})
	v.ADDQ(operand.U32(64), at)
	v.SUBQ(operand.U32(64), left)
	v.JGT(operand.LabelRef("line"))
	v.ADDQ(row, v.ptrs["src"])
	v.DECQ(regK)
	v.JNZ(operand.LabelRef("loop"))
	v.end()
}
