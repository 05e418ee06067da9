package main

import (
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A codelet writes a network as straight-line code on whole vectors: nodes in
// the order in which the outputs need them, in registers as long as there are
// some. When there are none, the value that is needed last goes to memory.
type codelet struct {
	*vector
	consts  string // symbol of the table of factors
	in, out func(i int) operand.Mem
	spill   func(i int) operand.Mem

	order   []*expr
	outs    map[*expr][]int // where a node is stored
	uses    map[*expr][]int // when a node is an operand, the next one first
	free    []reg.VecPhysical
	where   map[*expr]reg.VecPhysical
	spilled map[*expr]int
	now     int

	slots     int // places in memory, ever used
	freeSlots []int
}

// write emits the code for outs. It uses all vector registers.
func (c *codelet) write(outs []*expr) {
	c.outs, c.uses = map[*expr][]int{}, map[*expr][]int{}
	c.where, c.spilled = map[*expr]reg.VecPhysical{}, map[*expr]int{}
	c.free = slices.Clone(c.vec)
	c.order = schedule(outs)
	for i, o := range outs {
		c.outs[o] = append(c.outs[o], i)
	}
	for t, e := range c.order {
		c.uses[e.a] = append(c.uses[e.a], t)
		if e.b != nil {
			c.uses[e.b] = append(c.uses[e.b], t)
		}
	}
	for t, e := range c.order {
		c.now = t
		r := c.emit(e)
		c.where[e] = r
		for _, i := range c.outs[e] {
			c.VMOVUPS(r, c.out(i))
		}
		c.release(e)
	}
	for i, o := range outs { // an input as it is
		if o.op == input {
			c.VMOVUPS(c.in(o.in), c.vec[0])
			c.VMOVUPS(c.vec[0], c.out(i))
		}
	}
}

// schedule orders the nodes behind outs, inputs left out, and fuses a product
// that is used once with the sum that it goes into.
func schedule(outs []*expr) []*expr {
	used := map[*expr]int{}
	seen := map[*expr]bool{}
	var count func(e *expr)
	count = func(e *expr) {
		for _, o := range []*expr{e.a, e.b} {
			if o == nil {
				continue
			}
			if used[o]++; !seen[o] {
				seen[o] = true
				count(o)
			}
		}
	}
	for _, o := range outs {
		used[o]++
		if !seen[o] {
			seen[o] = true
			count(o)
		}
	}
	var order []*expr
	done := map[*expr]bool{}
	var visit func(e *expr)
	visit = func(e *expr) {
		if e == nil || e.op == input || done[e] {
			return
		}
		done[e] = true
		fuse(e, func(o *expr) bool { return o.op == scaling && used[o] == 1 })
		visit(e.a)
		visit(e.b)
		order = append(order, e)
	}
	for _, o := range outs {
		visit(o)
	}
	return order
}

// fuse makes e one operation with a product that it alone uses.
func fuse(e *expr, once func(*expr) bool) {
	switch {
	case e.op == sum && once(e.b):
		e.op, e.k, e.b = fma, e.b.k, e.b.a
	case e.op == sum && once(e.a):
		e.op, e.k, e.a, e.b = fma, e.a.k, e.b, e.a.a
	case e.op == diff && once(e.b):
		e.op, e.k, e.b = fnma, e.b.k, e.b.a
	case e.op == diff && once(e.a):
		e.op, e.k, e.a, e.b = fms, e.a.k, e.b, e.a.a
	}
}

// emit computes e into the register that it returns.
func (c *codelet) emit(e *expr) reg.VecPhysical {
	switch e.op {
	case sum:
		if _, ok := c.where[e.a]; !ok && c.lastUse(e.a) { // the operand in memory must be the second
			e.a, e.b = e.b, e.a
		}
		fallthrough
	case diff:
		a := c.load(e.a)
		b := c.operand(e.b, a)
		to := c.take(e, a, b)
		if e.op == sum {
			c.VADDPS(b, a, to)
		} else {
			c.VSUBPS(b, a, to)
		}
		return to
	case scaling:
		a := c.load(e.a)
		to := c.take(e, a)
		c.VMULPS(c.constant32(e.k), a, to)
		return to
	}
	a := c.load(e.a)
	b := c.load(e.b, a)
	if e.a == e.b || !c.lastUse(e.b) || c.lastUse(e.a) { // over a, or a copy of it
		if e.op != fms {
			to := c.take(e, a, b)
			if to != a {
				if to == b {
					panic("gen: a fused operation over the wrong operand")
				}
				c.VMOVAPS(a, to)
			}
			if e.op == fma {
				c.VFMADD231PS(c.constant32(e.k), b, to)
			} else {
				c.VFNMADD231PS(c.constant32(e.k), b, to)
			}
			return to
		}
	}
	return c.overB(e, a, b)
}

// overB computes a fused operation in the register of its factor, or in a copy
// of it.
func (c *codelet) overB(e *expr, a, b reg.VecPhysical) reg.VecPhysical {
	to := b
	if c.lastUse(e.b) {
		c.drop(e.b)
		c.done(e.a)
	} else {
		to = c.register(a, b)
		c.VMOVAPS(b, to)
		c.done(e.a)
		c.done(e.b)
	}
	switch k := c.constant32(e.k); e.op {
	case fma:
		c.VFMADD132PS(k, a, to)
	case fnma:
		c.VFNMADD132PS(k, a, to)
	case fms:
		c.VFMSUB132PS(k, a, to)
	}
	return to
}

// constant32 is factor k in the table, in all lanes.
func (c *codelet) constant32(k float32) operand.Mem {
	i := slices.Index(c.factors, k)
	if i < 0 {
		i = len(c.factors)
		c.factors = append(c.factors, k)
	}
	return operand.NewDataAddr(operand.NewStaticSymbol(c.consts), i*c.bytes())
}

// table writes the factors.
func (c *codelet) table() {
	c.StaticGlobal(c.consts)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, k := range c.factors {
		for range c.lanes {
			c.AppendDatum(operand.U32(math.Float32bits(k)))
		}
	}
}

// nextUse is when e is an operand next, at the earliest now.
func (c *codelet) nextUse(e *expr) int {
	for _, t := range c.uses[e] {
		if t >= c.now {
			return t
		}
	}
	return math.MaxInt
}

// lastUse is whether e is not needed after now.
func (c *codelet) lastUse(e *expr) bool {
	return c.uses[e][len(c.uses[e])-1] <= c.now
}

// load makes sure that e is in a register.
func (c *codelet) load(e *expr, keep ...reg.VecPhysical) reg.VecPhysical {
	if r, ok := c.where[e]; ok {
		return r
	}
	r := c.register(keep...)
	c.VMOVUPS(c.memory(e), r)
	c.where[e] = r
	return r
}

// operand is e in its register, or in memory if it is there and not needed
// again.
func (c *codelet) operand(e *expr, keep ...reg.VecPhysical) operand.Op {
	if _, ok := c.where[e]; !ok && c.lastUse(e) {
		return c.memory(e)
	}
	return c.load(e, keep...)
}

func (c *codelet) memory(e *expr) operand.Mem {
	if e.op == input {
		return c.in(e.in)
	}
	return c.spill(c.spilled[e])
}

// take is a register for the result of e: one of its operands' if that is not
// needed any more, keep being where the operands are.
func (c *codelet) take(e *expr, keep ...operand.Op) reg.VecPhysical {
	for _, o := range []*expr{e.a, e.b} {
		if o == nil || !c.lastUse(o) {
			continue
		}
		if r, ok := c.where[o]; ok && (e.op < fma || o == e.a) {
			c.drop(o)
			c.done(e.a)
			c.done(e.b)
			return r
		}
	}
	var busy []reg.VecPhysical
	for _, k := range keep {
		if r, ok := k.(reg.VecPhysical); ok {
			busy = append(busy, r)
		}
	}
	r := c.register(busy...)
	c.done(e.a)
	c.done(e.b)
	return r
}

// drop forgets where e is; its register belongs to the caller.
func (c *codelet) drop(e *expr) { delete(c.where, e) }

// done gives back the register and the memory of operand e if this was its last
// use.
func (c *codelet) done(e *expr) {
	if e == nil || !c.lastUse(e) {
		return
	}
	if r, ok := c.where[e]; ok {
		c.drop(e)
		c.free = append(c.free, r)
	}
	if slot, ok := c.spilled[e]; ok {
		delete(c.spilled, e)
		c.freeSlots = append(c.freeSlots, slot)
	}
}

// release gives back the register of a result that nothing uses.
func (c *codelet) release(e *expr) {
	if len(c.uses[e]) == 0 {
		c.free = append(c.free, c.where[e])
		c.drop(e)
	}
}

// register is a free register, other than those to keep.
func (c *codelet) register(keep ...reg.VecPhysical) reg.VecPhysical {
	if n := len(c.free); n > 0 {
		r := c.free[0] // the one that is free for the longest
		c.free = c.free[1:]
		return r
	}
	var victim *expr
	for _, e := range c.inRegisters() {
		if !slices.Contains(keep, c.where[e]) && (victim == nil || c.nextUse(e) > c.nextUse(victim)) {
			victim = e
		}
	}
	r := c.where[victim]
	if _, there := c.spilled[victim]; !there && victim.op != input {
		slot := c.slots
		if n := len(c.freeSlots); n > 0 {
			slot, c.freeSlots = c.freeSlots[n-1], c.freeSlots[:n-1]
		} else {
			c.slots++
		}
		c.spilled[victim] = slot
		c.VMOVUPS(r, c.spill(slot))
	}
	c.drop(victim)
	return r
}

// inRegisters lists what is in registers, in the order of its making.
func (c *codelet) inRegisters() []*expr {
	var all []*expr
	for e := range c.where {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *expr) int { return a.id - b.id })
	return all
}
