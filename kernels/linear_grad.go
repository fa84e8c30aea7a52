package kernels

import "github.com/ingot-llm/ingot/quant"

// linearGrad: with y = x W^T + b, dx = dy W, dW = dy^T x, db = the sum of dy's rows. In
// bf16 mode the factors are rounded to bf16, as they are in y's product; sums are f32.
func linearGrad(g *gradients, in Instr) {
	dy, x, w := g.total(in.Out[0]), in.In[0], in.In[1]
	g.columnSums(in.In[2], dy)
	dw := g.weight(w)
	exact := g.at(Value(x)).DType == quant.F32
	rows, cols := g.packGrad(dy, exact, g.needs(x), dw >= 0)
	if dw >= 0 {
		g.emit(opLinearDW, Instr{Out: results(dw), In: reads(cols, Value(x))})
	}
	if g.needs(x) {
		dx := g.add(Operand{Kind: Activation, Per: g.at(Value(x)).Per, Rows: g.at(Value(x)).Rows, Cols: g.at(Value(x)).Cols})
		g.emit(opLinearDX, Instr{Out: results(dx), In: reads(g.soFar(x), rows, Value(w))})
		g.set(x, dx)
	}
}

// packGrad: the gradient of a packed x is that of x, since rounding has none.
func packGradient(g *gradients, in Instr) { g.sum(in.In[0], g.total(in.Out[0])) }

// PACK_GRAD: a gradient in the forms in which products read it.
//
//	out0 PackRows or absent ; out1 PackCols or PackColsF32 or absent: rows, columns of in0
//	in0 dy [n, O] f32
//
// PackRows and PackCols round to bf16, half to even. The layouts are each table's own;
// the reference's are rows of f32 in both.
var opPackGrad = register(op{name: "pack_grad", code: 19, ref: packGradRef})

func packGradRef(s *step, in *Instr) {
	for _, out := range in.Out {
		if out < 0 {
			continue
		}
		cols := s.operands[out].Cols
		for r := range s.count(out) {
			y := packedBF16(s.raw(out, r), cols)
			copy(y, s.row(in.In[0], r))
			if s.operands[out].DType != PackColsF32 {
				roundBF16(y)
			}
		}
	}
}

func roundBF16(x []float32) {
	for i, v := range x {
		x[i] = quant.BF16ToF32(quant.F32ToBF16(v))
	}
}

// packGrad packs dy: in rows for LINEAR_DX, in columns for LINEAR_DW. An exact gradient
// is f32, whose rows are dy itself.
func (g *gradients) packGrad(dy Value, exact, wantRows, wantCols bool) (rows, cols Value) {
	rows, cols = -1, -1
	o := *g.at(dy)
	as := func(d quant.DType) Value {
		return g.add(Operand{Kind: Activation, DType: d, Per: o.Per, Rows: o.Rows, Cols: o.Cols})
	}
	if wantRows && !exact {
		rows = as(PackRows)
	}
	switch {
	case wantCols && exact:
		cols = as(PackColsF32)
	case wantCols:
		cols = as(PackCols)
	}
	if rows >= 0 || cols >= 0 {
		g.emit(opPackGrad, Instr{Out: results(rows, cols), In: reads(dy)})
	}
	if exact {
		rows = dy
	}
	return rows, cols
}

// LINEAR_DX: dx [n, K] = in0 + dy W, the sum over O in order.
//
//	out0 dx [n, K] f32 ; in0 [n, K] f32 or absent ; in1 dy [n, O] PackRows or f32 ; in2 W [O, K]
//
// With PackRows W is dequantized and rounded once to bf16; with f32 it is F32. The order
// of the additions is each table's own but depends on O alone. out0 may be in0.
var opLinearDX = register(op{name: "linear_dx", code: 20, ref: linearDXRef, inPlace: true, flops: func(p *Program, in *Instr, _ int) int64 {
	w := &p.Operands[in.In[2]]
	return 2 * int64(w.Rows) * int64(w.Cols)
}})

func linearDXRef(s *step, in *Instr) {
	w := s.matrix(in.In[2], s.operands[in.In[1]].DType == PackRows)
	n, cols := s.count(in.Out[0]), s.operands[in.Out[0]].Cols
	parallel(n, n*len(w), func(from, to int) {
		sum := make([]float32, cols)
		for r := from; r < to; r++ {
			clear(sum)
			for o, dy := range s.gradRow(in.In[1], r) {
				addProduct(sum, dy, w[o*cols:][:cols])
			}
			s.addTo(in, r, sum)
		}
	})
}

// addTo writes in0 + sum to row r of out0.
func (s *step) addTo(in *Instr, r int, sum []float32) {
	out := s.row(in.Out[0], r)
	if in.In[0] < 0 {
		copy(out, sum)
		return
	}
	for i, v := range s.row(in.In[0], r) {
		out[i] = v + sum[i]
	}
}

func addProduct(sum []float32, f float32, x []float32) {
	for i, v := range x {
		sum[i] += float32(f * v)
	}
}

// matrix returns weight w as f32, rounded to bf16 where that is asked for.
func (s *step) matrix(w int32, rounded bool) []float32 {
	o := &s.operands[w]
	all := make([]float32, o.Rows*o.Cols)
	for r := range o.Rows {
		s.dequantize(all[r*o.Cols:][:o.Cols], w, r)
	}
	if rounded {
		roundBF16(all)
	}
	return all
}

// gradRow returns row r of a gradient, packed or not; actRow of activations.
func (s *step) gradRow(v int32, r int) []float32 { return s.actRow(v, r) }

func (s *step) actRow(v int32, r int) []float32 {
	if o := &s.operands[v]; packed(o.DType) {
		return packedBF16(s.raw(v, r), o.Cols)
	}
	return s.row(v, r)
}

// LINEAR_DW: out0 [O, K] += dy^T x, the sum over the rows in order.
//
//	out0 Gradient [O, K] ; in0 dy [n, O] PackCols or PackColsF32 ; in1 x [n, K] PackBF16 or f32
//
// The order of the additions is each table's own but depends on n alone.
var opLinearDW = register(op{name: "linear_dw", code: 21, ref: linearDWRef})

func linearDWRef(s *step, in *Instr) {
	n, k := s.count(in.In[1]), s.operands[in.Out[0]].Cols
	parallel(s.operands[in.Out[0]].Rows, n*k, func(from, to int) {
		sum := make([]float32, k)
		for o := from; o < to; o++ {
			clear(sum)
			for r := range n {
				addProduct(sum, s.gradRow(in.In[0], r)[o], s.actRow(in.In[1], r))
			}
			addProduct(s.row(in.Out[0], o), 1, sum)
		}
	})
}

// COLUMN_SUMS: out0 [1, O] += the sum of in0's rows, in order.
//
//	out0 Gradient [1, O] ; in0 [n, O] f32
//
// The same bits in every table.
var opColumnSums = register(op{name: "column_sums", code: 22, ref: columnSumsRef})

func columnSumsRef(s *step, in *Instr) {
	total := make([]float32, s.operands[in.In[0]].Cols)
	for r := range s.count(in.In[0]) {
		for i, v := range s.row(in.In[0], r) {
			total[i] += v
		}
	}
	addProduct(s.vector(in.Out[0]), 1, total)
}

// columnSums appends the gradient of a bias that was added to rows whose gradient is dy.
func (g *gradients) columnSums(bias int32, dy Value) {
	if db := g.weight(bias); db >= 0 {
		g.emit(opColumnSums, Instr{Out: results(db), In: reads(dy)})
	}
}
