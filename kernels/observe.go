package kernels

// Observation is what a product also sums up of the rows x that it multiplies a weight with.
type Observation uint8

const (
	Nothing  Observation = iota
	Squares              // of each column: [K], of experts' [E, K], apart for each
	Products             // of each two columns, x^T x: [K, K]; of experts' the squares
)

// Observe makes the products with every weight w [O, K], or experts' [E, O, K], add up what
// of says (Program.Observed). It comes before the first operation.
func (b *Builder) Observe(of func(w Tensor) Observation) { b.observed = of }

// Observed returns, by the weight's name, the sums of all runs so far. They are the program's
// memory, shared by weights that read the same x.
func (p *Program) Observed() map[string][]float32 {
	sums := map[string][]float32{}
	for name, v := range p.observed {
		o := &p.Operands[v]
		sums[name] = view[float32](o.Data, o.Rows*o.Cols)
	}
	return sums
}

// input is what a product reads: rows x, of experts' with the experts of each.
type input struct{ x, ids Value }

// observe appends the sums over x [n, K], which w's product reads. ids are the rows'
// experts, -1 where w is no stack of them; perSlot says that x has a row per slot.
func (b *Builder) observe(x Value, w Tensor, ids Value, perSlot int32) {
	if b.observed == nil {
		return
	}
	switch what := b.observed(w); {
	case what == Nothing:
		return
	case what == Products && ids < 0:
		b.observeOnce(b.products, input{x, ids}, w.Name, w.Cols(), w.Cols(), func(sums Value) {
			o := *b.at(x)
			columns := b.add(Operand{Kind: Activation, DType: PackColsF32, Per: o.Per, Rows: o.Rows, Cols: o.Cols})
			b.emit(opPackGrad, Instr{Out: results(-1, columns), In: reads(x)})
			b.emit(opLinearDW, Instr{Out: results(sums), In: reads(columns, x)})
		})
	default:
		rows, k := 1, 1
		if ids >= 0 {
			rows, k = w.Shape[0], b.at(ids).Cols
		}
		b.observeOnce(b.squares, input{x, ids}, w.Name, rows, w.Cols(), func(sums Value) {
			b.emit(opSquareSums, Instr{Out: results(sums), In: reads(x, ids), I: [8]int32{int32(k), perSlot}})
		})
	}
}

// observeOnce makes the sums [rows, cols] over an input, unless another weight's product has
// asked for them, those of the named weight.
func (b *Builder) observeOnce(made map[input]Value, of input, name string, rows, cols int, emit func(sums Value)) {
	sums, ok := made[of]
	if !ok {
		sums = b.add(Operand{Name: name, Kind: Gradient, Rows: rows, Cols: cols, Data: bytesOf(b.native(rows * cols))})
		made[of] = sums
		emit(sums)
	}
	b.p.observed[name] = sums
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
