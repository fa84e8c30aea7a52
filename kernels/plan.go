package kernels

import (
	"slices"

	"github.com/ingot-llm/ingot/quant"
)

// Limits are the sizes that memory is laid out for.
type Limits struct {
	Tokens    int // rows of a batch
	LogitRows int // rows whose logits are wanted
	Seqs      int // sequences of a batch
	Blocks    int // KV blocks in all, of BlockTokens tokens each
}

func (l Limits) units(p Per) int {
	unit, _ := p.split()
	return p.of(map[Per]int{Fixed: 1, PerToken: l.Tokens, PerLogit: l.LogitRows, PerSeq: l.Seqs}[unit])
}

// Plan says where every buffer of a program lies. It is plain data; memory is taken by
// NewRunner.
type Plan struct {
	ArenaBytes int   // activations, all together
	CacheBytes int   // KV caches of all layers
	Offsets    []int // by operand: where it begins in the arena, of a cache in the caches; -1 for weights
	lives      []life
}

// life is a buffer's need of memory: bytes, from instruction first to last inclusive.
// Buffers that lie in one another's place share a life.
type life struct{ first, last, bytes, offset int }

func (a *life) meets(b *life) bool { return a.first <= b.last && b.first <= a.last }

// Plan lays out the program's memory for batches within l on table t. A buffer's place
// is used again once its last reader is done.
func (p *Program) Plan(l Limits, t *Table) *Plan {
	plan := &Plan{Offsets: slices.Repeat([]int{-1}, len(p.Operands))}
	home := p.homes(l, t, plan)
	plan.place()
	for v := range p.Operands {
		o := &p.Operands[v]
		switch h := home[p.root(Value(v))]; {
		case h >= 0 && o.Kind == View:
			plan.Offsets[v] = plan.lives[h].offset + p.viewOffset(o)
		case h >= 0:
			plan.Offsets[v] = plan.lives[h].offset
		}
	}
	p.placeCaches(l, plan)
	return plan
}

// placeCaches lays out the caches. A batch of a program with a loss begins all of its
// sequences, so that layers which are done share their cache's memory with the next ones.
func (p *Program) placeCaches(l Limits, plan *Plan) {
	first, last := p.firstUses(), p.lastUses()
	var caches Plan
	var values []int
	for v := range p.Operands {
		o := &p.Operands[v]
		if o.Kind != KeyCache && o.Kind != ValueCache {
			continue
		}
		a := life{first: 0, last: len(p.Instrs), bytes: align(l.Blocks * p.stride(o))}
		if p.classes() > 0 {
			a.first, a.last = first[v], last[v]
		}
		caches.lives, values = append(caches.lives, a), append(values, v)
	}
	caches.place()
	for i, v := range values {
		plan.Offsets[v] = caches.lives[i].offset
	}
	plan.CacheBytes = caches.ArenaBytes
}

// viewOffset returns where a view begins in its base.
func (p *Program) viewOffset(o *Operand) int {
	_, window := o.Per.split()
	return 4*o.From + max(window, 0)*o.Per.windowRows()*p.stride(o)
}

// root returns the operand whose memory v lies in.
func (p *Program) root(v Value) Value {
	if o := &p.Operands[v]; o.Kind == View {
		return o.Base
	}
	return v
}

// lastUses returns, by operand, the last instruction that reads or writes it or a view
// of it. The output is read after the last one.
func (p *Program) lastUses() []int {
	last := make([]int, len(p.Operands))
	for i := range p.Instrs {
		for _, v := range slices.Concat(p.Instrs[i].In[:], p.Instrs[i].Out[:]) {
			if v >= 0 {
				last[p.root(Value(v))] = i
			}
		}
	}
	last[p.Output] = len(p.Instrs)
	return last
}

// firstUses returns, by operand, the first instruction that reads or writes it.
func (p *Program) firstUses() []int {
	first := make([]int, len(p.Operands))
	for i := len(p.Instrs) - 1; i >= 0; i-- {
		for _, v := range slices.Concat(p.Instrs[i].In[:], p.Instrs[i].Out[:]) {
			if v >= 0 {
				first[p.root(Value(v))] = i
			}
		}
	}
	return first
}

// homes walks the program, gives every activation a life (or the one of the input in
// whose place it is written) and returns their numbers by operand, -1 for the rest.
func (p *Program) homes(l Limits, t *Table, plan *Plan) []int {
	home := slices.Repeat([]int{-1}, len(p.Operands))
	last := p.lastUses()
	for i := range p.Instrs {
		in := &p.Instrs[i]
		for _, v := range in.Out {
			if v < 0 || p.Operands[v].Kind == Gradient {
				continue
			}
			v = int32(p.root(Value(v)))
			if home[v] >= 0 {
				continue
			}
			if x, ok := p.inPlace(in, v, i, last); ok {
				home[v] = home[x]
				plan.lives[home[v]].last = last[v]
				continue
			}
			home[v] = len(plan.lives)
			plan.lives = append(plan.lives, life{first: i, last: last[v], bytes: align(p.size(Value(v), l, t))})
		}
	}
	return home
}

// inPlace returns the operand in whose memory instruction i can write its result v:
// a whole activation of the same shape that nothing reads afterwards.
func (p *Program) inPlace(in *Instr, v int32, i int, last []int) (x int32, ok bool) {
	x = in.In[0]
	if x < 0 || !ops[in.Op].inPlace || v != in.Out[0] || last[x] != i {
		return 0, false
	}
	from, to := &p.Operands[x], &p.Operands[v]
	same := from.DType == to.DType && from.Per == to.Per && from.Rows == to.Rows && from.Cols == to.Cols
	return x, same && from.Kind == Activation
}

// size returns the bytes of activation v.
func (p *Program) size(v Value, l Limits, t *Table) int {
	o := &p.Operands[v]
	rows := l.units(o.Per) * o.Rows
	if packed(o.DType) {
		return t.packBytes(rows, o.Cols, o.DType)
	}
	return rows * p.stride(o)
}

// align rounds up to a cache line, which is also a vector of AVX-512.
func align(bytes int) int { return (bytes + 63) &^ 63 }

// place gives every life its offset: largest first, each in the smallest gap that fits
// between the lives that it meets and that have a place already.
func (plan *Plan) place() {
	order := make([]*life, len(plan.lives))
	for i := range plan.lives {
		order[i] = &plan.lives[i]
	}
	slices.SortStableFunc(order, func(a, b *life) int { return b.bytes - a.bytes })
	var placed []*life // by offset
	for _, a := range order {
		a.offset = gap(a, placed)
		plan.ArenaBytes = max(plan.ArenaBytes, a.offset+a.bytes)
		at, _ := slices.BinarySearchFunc(placed, a.offset, func(b *life, offset int) int { return b.offset - offset })
		placed = slices.Insert(placed, at, a)
	}
}

// gap returns the offset of the smallest gap for a among placed, or the end.
func gap(a *life, placed []*life) int {
	best, bestBytes, end := -1, 0, 0
	for _, b := range placed {
		if !a.meets(b) {
			continue
		}
		if free := b.offset - end; free >= a.bytes && (best < 0 || free < bestBytes) {
			best, bestBytes = end, free
		}
		end = max(end, b.offset+b.bytes)
	}
	if best < 0 {
		return end
	}
	return best
}

// stride returns the bytes from one row of operand o to the next: of its base for a
// view, of the reference's layout for packed activations.
func (p *Program) stride(o *Operand) int {
	switch {
	case o.Kind == View:
		return 4 * p.Operands[o.Base].Cols
	case o.Kind == KeyCache:
		return p.Layers[o.From].keyBytes()
	case o.Kind == ValueCache:
		return p.Layers[o.From].valueBytes()
	case packed(o.DType):
		return packedRow(o.Cols, o.DType)
	case o.Kind == Activation && o.DType != quant.BF16: // f32, or i32 for ids
		return 4 * o.Cols
	}
	return o.DType.RowBytes(o.Cols)
}
