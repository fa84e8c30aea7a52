package kernels

// CONCAT: out0 [n, C]: input i of up to 6 at the columns from i[i] on, 0 elsewhere.
//
//	in0 ... in5 [n, Ci] f32 or absent ; i0 ... i5 first columns
//
// It makes the gradient of an activation from those of its views.
var opConcat = register(op{name: "concat", code: 32, ref: concatRef})

func concatRef(s *step, in *Instr) {
	for r := range s.count(in.Out[0]) {
		out := s.row(in.Out[0], r)
		clear(out)
		for i, v := range in.In {
			if v >= 0 {
				copy(out[in.I[i]:], s.row(v, r))
			}
		}
	}
}

// concat returns the gradient of whole from those of its views.
func (g *gradients) concat(whole Value, views []Value) Value {
	in := Instr{In: reads()}
	if len(views) > len(in.In) {
		misfit("%s has %d views with a gradient, more than %d", g.p.shape(int32(whole)), len(views), len(in.In))
	}
	for i, v := range views {
		in.In[i], in.I[i] = int32(g.of[v]), int32(g.at(v).From)
	}
	y := g.like(whole, g.at(whole).Cols)
	in.Out = results(y)
	g.emit(opConcat, in)
	return y
}

// ROWS_DX: out0 [T, D]: row LogitRows[r] is in0's row r, or the sum of several in order;
// the others are 0.
//
//	in0 [R, D] f32
var opRowsDX = register(op{name: "rows_dx", code: 33, ref: rowsDXRef})

func rowsGrad(g *gradients, in Instr) {
	dx := g.like(Value(in.In[0]), g.at(Value(in.In[0])).Cols)
	g.emit(opRowsDX, Instr{Out: results(dx), In: reads(g.total(in.Out[0]))})
	g.sum(in.In[0], dx)
}

func rowsDXRef(s *step, in *Instr) {
	for t := range s.batch.Tokens {
		clear(s.row(in.Out[0], t))
	}
	for r, t := range s.batch.LogitRows {
		addProduct(s.row(in.Out[0], int(t)), 1, s.row(in.In[0], r))
	}
}

// EMBED_DW: row EMBED's of out0 [V, D] += f0 * in0's row, token by token.
//
//	out0 Gradient [V, D] ; in0 [T, D] f32 ; i0 source of the row ; f0 scale
//
// The products are rounded before they are added. The same bits in every table.
var opEmbedDW = register(op{name: "embed_dw", code: 34, ref: embedDWRef})

func embedGrad(g *gradients, in Instr) {
	if dw := g.weight(in.In[0]); dw >= 0 {
		g.emit(opEmbedDW, Instr{Out: results(dw), In: reads(g.total(in.Out[0])), I: in.I, F: in.F})
	}
}

func embedDWRef(s *step, in *Instr) {
	for t := range s.batch.Tokens {
		addProduct(s.row(in.Out[0], s.embedRow(in.I[0], t)), in.F[0], s.row(in.In[0], t))
	}
}

// POOL_DX: out0 [T, D] from in0 [S, D]: the mean's rows get in0 / their number, the first
// or the last row in0 and the others 0.
//
//	i0 PoolKind
var opPoolDX = register(op{name: "pool_dx", code: 40, ref: poolDXRef})

func poolGrad(g *gradients, in Instr) {
	dx := g.like(Value(in.In[0]), g.at(Value(in.In[0])).Cols)
	g.emit(opPoolDX, Instr{Out: results(dx), In: reads(g.total(in.Out[0])), I: in.I})
	g.sum(in.In[0], dx)
}

func poolDXRef(s *step, in *Instr) {
	for seq := range s.batch.SeqLen {
		first, end := int(s.batch.RowStart[seq]), int(s.batch.RowStart[seq+1])
		for t := first; t < end; t++ {
			out := s.row(in.Out[0], t)
			clear(out)
			addProduct(out, poolShare(PoolKind(in.I[0]), t, first, end), s.row(in.In[0], seq))
		}
	}
}

// poolShare returns the weight of row t of first ... end-1 in the pooled row.
func poolShare(kind PoolKind, t, first, end int) float32 {
	switch {
	case kind == PoolMean:
		return 1 / float32(end-first)
	case kind == PoolFirst && t == first, kind == PoolLast && t == end-1:
		return 1
	}
	return 0
}

// ROPE_DX: ROPE's rotation backwards: for each head and pair i with table columns cos[i]
// and sin[i], (a, b) = (x[i], x[i + R/2]):
//
//	y[p] = a*cos + b*sin    y[q] = b*cos - a*sin
//
// where p and q are the pair's dimensions in the layout i3 of ROPE's input.
//
//	out0, in0 [T, H*D] ; in1 table [T, R] ; i0 H, i1 D, i2 R, i3 Layout
var opRoPEDX = register(op{name: "rope_dx", code: 26, ref: ropeDXRef})

func ropeGrad(g *gradients, in Instr) {
	dx := g.like(Value(in.In[0]), g.at(Value(in.In[0])).Cols)
	g.emit(opRoPEDX, Instr{Out: results(dx), In: reads(g.total(in.Out[0]), Value(in.In[1])), I: in.I})
	g.sum(in.In[0], dx)
}

func ropeDXRef(s *step, in *Instr) {
	d, r := int(in.I[1]), int(in.I[2])
	for t := range s.batch.Tokens {
		x, y, table := s.row(in.In[0], t), s.row(in.Out[0], t), s.row(in.In[1], t)
		for ; len(x) > 0; x, y = x[d:], y[d:] {
			ropeBack(y[:d], x[:d], table[:r/2], table[r/2:], Layout(in.I[3]))
		}
	}
}

func ropeBack(y, x, cos, sin []float32, l Layout) {
	half := len(cos)
	for i := range half {
		p, q := i, i+half
		if l == RopeInterleaved {
			p, q = 2*i, 2*i+1
		}
		a, b := x[i], x[i+half]
		y[p] = float32(a*cos[i]) + float32(b*sin[i])
		y[q] = float32(b*cos[i]) - float32(a*sin[i])
	}
	copy(y[2*half:], x[2*half:])
}
