package kernels

// Observe makes the products with every weight w [O, K], or experts' [E, O, K], of which
// of says so also add up the squares of what they multiply w with, column by column; of
// experts' apart for each expert (Program.Observed). It comes before the first operation.
func (b *Builder) Observe(of func(w Tensor) bool) { b.observed = of }

// Observed returns, by the weight's name, the sums of squares of all runs so far: [K], or
// [E, K] of experts'. They are the program's memory.
func (p *Program) Observed() map[string][]float32 {
	sums := map[string][]float32{}
	for i := range p.Instrs {
		if in := &p.Instrs[i]; in.Op == opSquareSums.code {
			o := &p.Operands[in.Out[0]]
			sums[o.Name] = view[float32](o.Data, o.Rows*o.Cols)
		}
	}
	return sums
}

// observe appends the sums over x [n, K], which w's product reads. ids are the rows'
// experts, -1 where w is no stack of them; perSlot says that x has a row per slot.
func (b *Builder) observe(x Value, w Tensor, ids Value, perSlot int32) {
	if b.observed == nil || !b.observed(w) {
		return
	}
	rows, k := 1, 1
	if ids >= 0 {
		rows, k = w.Shape[0], b.at(ids).Cols
	}
	key := keyOf(w, false)
	if _, ok := b.sums[key]; !ok {
		b.sums[key] = b.add(Operand{Name: w.Name, Kind: Gradient, Rows: rows, Cols: w.Cols(), Data: bytesOf(b.native(rows * w.Cols()))})
	}
	b.emit(opSquareSums, Instr{Out: results(b.sums[key]), In: reads(x, ids), I: [8]int32{int32(k), perSlot}})
}

// SQUARE_SUMS: out0 [E, K] += the squares of in0's rows, in order, each to the rows of its
// experts; without in1 to row 0.
//
//	out0 Gradient [E, K] ; in0 [n, K] f32 ; in1 ids [T, k] or absent
//	i0 k ; i1: in0 has T rows (0: row t goes to every expert of t) or T*k (1: row t*k+j to the j-th)
//
// An id of -1 counts nowhere. A square is rounded before the addition: the same bits in
// every table.
var opSquareSums = register(op{name: "square_sums", code: 45, ref: squareSumsRef})

func squareSumsRef(s *step, in *Instr) {
	if in.In[1] < 0 {
		for r := range s.count(in.In[0]) {
			addSquares(s.row(in.Out[0], 0), s.row(in.In[0], r))
		}
		return
	}
	for t := range s.count(in.In[1]) {
		for j, e := range s.ids(in.In[1], t) {
			if e >= 0 {
				addSquares(s.row(in.Out[0], int(e)), s.row(in.In[0], s.expertInput(in, t*int(in.I[0])+j)))
			}
		}
	}
}

func addSquares(sum, x []float32) {
	for i, v := range x {
		sum[i] += float32(v * v)
	}
}
