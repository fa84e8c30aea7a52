package kernels

import "github.com/ingot-llm/ingot/quant"

// LowRank are N adapters of a weight W [O, K] (LoRA: Hu et al. 2021): a row that goes
// with adapter i gets W x + Scale[i] * B[i] (A[i] x). The zero LowRank is none.
//
// The rank is a multiple of RankMultiple. A lower one is padded with zeros, which change
// no bit of a sum, however far: adapters of any ranks may lie beside each other.
type LowRank struct {
	A     Tensor    // [N, rank, K] F32 or BF16: what meets x as W would
	B     Tensor    // [N, O, rank] of A's type
	Scale []float32 // [N]; 0: adapter i leaves W as it is, but for Magnitude

	// Magnitude [N, O] F32, where it is given, is the length that each row of W and what it
	// gains is brought to (DoRA: Liu et al. 2024): all but the bias is multiplied by
	// Magnitude/Norms. Norms [N, O] F32 are the lengths that the rows have (AdaptedNorms);
	// a program that trains computes them itself.
	Magnitude, Norms Tensor
}

// RankMultiple is what the ranks of adapters are padded to multiples of: in every table
// a sum's order is the same over whole vectors of that many columns.
const RankMultiple = 16

// Adapt makes products with a weight (Linear) go through the adapters that of returns
// for it; which one a row takes says Batch.Adapters. A program that trains has one at
// most, which every row takes. It comes before the first operation.
func (b *Builder) Adapt(of func(w Tensor) LowRank) { b.lowRank = of }

// adaptersOf returns the adapters of w, the zero LowRank where it has none.
func (b *Builder) adaptersOf(w Tensor) (a LowRank) {
	if b.lowRank == nil {
		return a
	}
	if a = b.lowRank(w); len(a.Scale) > 0 {
		a.check(w)
	}
	return a
}

// adapted returns y = W x with what w's adapters make of it; bias is what is still to add
// where they have magnitudes.
func (b *Builder) adapted(x, y Value, w Tensor, a LowRank, bias Tensor) Value {
	if len(a.Scale) == 0 {
		return y
	}
	ids := Value(-1)
	if b.Trains() {
		y = b.adaptAll(x, y, a)
	} else {
		ids = b.adapterIDs(x, len(a.Scale))
		y = b.adaptEach(x, y, ids, w, a)
	}
	if a.Magnitude.Data == nil {
		return y
	}
	return b.scaledBy(a, w, y, ids, bias)
}

// adaptEach adds to each row what its adapter gives.
func (b *Builder) adaptEach(x, y, ids Value, w Tensor, a LowRank) Value {
	d := b.ExpertLinear(b.ExpertLinear(x, ids, a.A, Tensor{}), ids, a.B, Tensor{})
	out := b.like(y, b.at(y).Cols)
	b.emit(opAdapt, Instr{Out: results(out), In: reads(y, d, ids, b.scales(a, w))})
	return out
}

// scales returns the adapters' scales as an operand [1, N].
func (b *Builder) scales(a LowRank, w Tensor) Value {
	scales := b.native(len(a.Scale))
	copy(scales, a.Scale)
	return b.constant("scales of "+w.Name, quant.F32, 1, len(scales), bytesOf(scales))
}

// adaptAll is adaptEach for rows that all take the one adapter there is: the same bits.
func (b *Builder) adaptAll(x, y Value, a LowRank) Value {
	if len(a.Scale) != 1 {
		misfit("%s: %d adapters cannot train together", a.A.Name, len(a.Scale))
	}
	a.A.Shape, a.B.Shape = a.A.Shape[1:], a.B.Shape[1:]
	return b.Add(y, b.Linear(b.Linear(x, a.A, Tensor{}), a.B, Tensor{}), a.Scale[0])
}

func (a *LowRank) check(w Tensor) {
	n := len(a.Scale)
	fits := len(a.A.Shape) == 3 && len(a.B.Shape) == 3 && a.A.Shape[0] == n && a.B.Shape[0] == n &&
		a.A.Shape[1] == a.B.Shape[2] && a.A.Shape[1]%RankMultiple == 0 && a.A.Shape[2] == w.Cols() && a.B.Shape[1] == w.Rows()
	if !fits {
		misfit("%d adapters of %s %v have shapes %v and %v", n, w.Name, w.Shape, a.A.Shape, a.B.Shape)
	}
	for _, m := range []Tensor{a.Magnitude, a.Norms} {
		if m.Data != nil && (m.DType != quant.F32 || m.Elems() != n*w.Rows()) {
			misfit("%d adapters of %s %v have magnitudes of shape %v", n, w.Name, w.Shape, m.Shape)
		}
	}
}

// ADAPTERS: the adapter of each row.
//
//	out0 ids [n, 1] i32, n the tokens or the rows of logits ; i0 N
//
// An id is that of the row's sequence in Batch.Adapters less 1: -1 for none.
var opAdapters = register(op{name: "adapters", code: 43, ref: adaptersRef})

func adaptersRef(s *step, in *Instr) {
	for r := range s.count(in.Out[0]) {
		token := r
		if s.operands[in.Out[0]].Per == PerLogit {
			token = int(s.batch.LogitRows[r])
		}
		s.ids(in.Out[0], r)[0] = s.batch.adapterOf(token) - 1
	}
}

// adapterOf returns the adapter of a token's sequence, 0 for none.
func (b *Batch) adapterOf(token int) int32 {
	for i, a := range b.Adapters {
		if token < int(b.RowStart[i+1]) {
			return a
		}
	}
	return 0
}

// adapterIDs returns which of n adapters the rows of x take; rows are counted alike
// throughout the program, so that one operand serves all of its weights.
func (b *Builder) adapterIDs(x Value, n int) Value {
	per := b.at(x).Per
	if ids, ok := b.adapterRows[per]; ok {
		return ids
	}
	ids := b.add(Operand{Kind: Activation, DType: quant.I32, Per: per, Rows: 1, Cols: 1})
	b.emit(opAdapters, Instr{Out: results(ids), In: reads(), I: [8]int32{int32(n)}})
	if b.adapterRows == nil {
		b.adapterRows = map[Per]Value{}
	}
	b.adapterRows[per] = ids
	return ids
}

// adapters returns how many adapters the program has.
func (p *Program) adapters() int {
	for i := range p.Instrs {
		if p.Instrs[i].Op == opAdapters.code {
			return int(p.Instrs[i].I[0])
		}
	}
	return 0
}

// ADAPT: out0 = in0 + s * in1 with the scale s of the row's adapter; the product is
// rounded before the addition, as ADD does. A row without an adapter, or whose s is 0,
// is in0's. out0 may be in0. The same bits in every table.
//
//	out0, in0 y, in1 d [n, O] f32 ; in2 ids [n, 1] i32 ; in3 scales [1, N] f32
var opAdapt = register(op{name: "adapt", code: 44, ref: adaptRef, inPlace: true})

func adaptRef(s *step, in *Instr) {
	scales := s.vector(in.In[3])
	for r := range s.count(in.Out[0]) {
		y, d, z := s.row(in.In[0], r), s.row(in.In[1], r), s.row(in.Out[0], r)
		copy(z, y)
		id := s.ids(in.In[2], r)[0]
		if id < 0 || scales[id] == 0 {
			continue
		}
		for i := range z {
			z[i] = y[i] + float32(scales[id]*d[i])
		}
	}
}
