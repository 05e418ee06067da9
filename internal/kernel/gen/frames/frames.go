// Package frames writes the functions of simd.FrameSet: float64, a frame of
// sound in each lane. simd/frames.go says what each computes; package spectra
// has the same once more in plain Go, operation by operation.
package frames

import (
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	table  = "frameFactors"
	double = 8 // bytes
)

// A writer writes one instruction set's.
type writer struct {
	*build.Context
	set     string
	lanes   int
	factors []uint64 // for the table of the file
}

// Functions are the fields of simd.FrameSet that are functions.
var Functions = []string{"Emphasise", "Window", "DFT19", "DFT29", "Pass2", "Pass3", "Pass4", "Pass5", "PassOdd", "Split", "Spread", "Turn", "Bank", "Log", "Matrix"}

// Write writes them into ctx for an instruction set whose vectors hold so many
// float64: 8, of AVX-512, or 4, of AVX2.
func Write(ctx *build.Context, set string, lanes int) {
	f := &writer{Context: ctx, set: set, lanes: lanes}
	f.emphasise()
	f.window()
	f.dft19()
	f.dft29()
	for _, radix := range []int{2, 3, 4, 5} {
		f.pass(radix)
	}
	f.passOdd()
	f.split()
	f.spread()
	f.turnAll()
	f.bank()
	f.log()
	f.matrix()
	f.StaticGlobal(table)
	f.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, k := range f.factors {
		for range f.copies() {
			f.AppendDatum(operand.U64(k))
		}
	}
}

func (f *writer) wide() bool { return f.lanes == 8 }

// bytes is how long a vector is.
func (f *writer) bytes() int { return f.lanes * double }

// begin opens a function.
func (f *writer) begin(name, signature string) {
	f.Function(f.set + "Frames" + name)
	f.Attributes(attr.NOSPLIT)
	f.Doc(f.set + "Frames" + name + " is a FrameSet." + name + ".")
	f.Pragma("noescape")
	f.SignatureExpr(signature)
}

func (f *writer) end() {
	f.VZEROUPPER()
	f.RET()
}

// arg loads an argument into a register.
func (f *writer) arg(name string) reg.Register { return f.Load(f.Param(name), f.GP64()) }

// new is a vector register.
func (f *writer) new() reg.VecVirtual {
	if f.wide() {
		return f.ZMM()
	}
	return f.YMM()
}

// at is vector i from base on.
func (f *writer) at(base reg.Register, i int) operand.Mem {
	return operand.Mem{Base: base, Disp: i * f.bytes()}
}

func (f *writer) load(m operand.Mem) reg.VecVirtual {
	r := f.new()
	f.VMOVUPD(m, r)
	return r
}

func (f *writer) store(r reg.VecVirtual, m operand.Mem) { f.VMOVUPD(r, m) }

// broadcast is one float64 of memory in all lanes.
func (f *writer) broadcast(m operand.Mem) reg.VecVirtual {
	r := f.new()
	f.VBROADCASTSD(m, r)
	return r
}

func (f *writer) add(a, b reg.VecVirtual) reg.VecVirtual {
	r := f.new()
	f.VADDPD(b, a, r)
	return r
}

func (f *writer) sub(a, b reg.VecVirtual) reg.VecVirtual {
	r := f.new()
	f.VSUBPD(b, a, r)
	return r
}

func (f *writer) mul(k operand.Op, a reg.VecVirtual) reg.VecVirtual {
	r := f.new()
	f.VMULPD(k, a, r)
	return r
}

func (f *writer) copy(a reg.VecVirtual) reg.VecVirtual {
	r := f.new()
	f.VMOVAPD(a, r)
	return r
}

func (f *writer) zeroed() reg.VecVirtual {
	r := f.new()
	if f.wide() {
		f.VPXORQ(r, r, r)
	} else {
		f.VXORPD(r, r, r)
	}
	return r
}

// copies is how often a factor is in the table: AVX-512 broadcasts it from one,
// for whole vectors would lie across cache lines, a symbol being aligned to 32
// bytes at most.
func (f *writer) copies() int {
	if f.wide() {
		return 1
	}
	return f.lanes
}

// by emits an operation whose first operand is factor k.
func (f *writer) by(k float64, narrow, wide func(...operand.Op), ops ...operand.Op) {
	f.byBits(math.Float64bits(k), narrow, wide, ops...)
}

func (f *writer) byBits(k uint64, narrow, wide func(...operand.Op), ops ...operand.Op) {
	if !f.wide() {
		wide = narrow
	}
	wide(append([]operand.Op{f.factorBits(k)}, ops...)...)
}

// plusBy adds k times x to s, minusBy takes it off.
func (f *writer) plusBy(k float64, x, s reg.VecVirtual) {
	f.by(k, f.VFMADD231PD, f.VFMADD231PD_BCST, x, s)
}

func (f *writer) minusBy(k float64, x, s reg.VecVirtual) {
	f.by(k, f.VFNMADD231PD, f.VFNMADD231PD_BCST, x, s)
}

func (f *writer) timesBy(k float64, x, to reg.VecVirtual) {
	f.by(k, f.VMULPD, f.VMULPD_BCST, x, to)
}

func (f *writer) factorBits(k uint64) operand.Mem {
	i := slices.Index(f.factors, k)
	if i < 0 {
		i = len(f.factors)
		f.factors = append(f.factors, k)
	}
	return operand.NewDataAddr(operand.NewStaticSymbol(table), i*f.copies()*double)
}
