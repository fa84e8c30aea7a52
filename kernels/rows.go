package kernels

// ROWS: out0 [R, D] = in0 [T, D] at the batch's LogitRows.
var opRows = register(op{name: "rows", code: 1, ref: rowsRef})

func init() { opRows.grad = rowsGrad }

func rowsRef(s *step, in *Instr) {
	for r, t := range s.batch.LogitRows {
		copy(s.row(in.Out[0], r), s.row(in.In[0], int(t)))
	}
}

// Rows returns the rows of x [T, D] whose logits are wanted, [R, D].
func (b *Builder) Rows(x Value) Value {
	o := b.at(x)
	if o.Per != PerToken || o.Rows != 1 {
		misfit("rows: %s has not one row per token", b.p.shape(int32(x)))
	}
	b.need("rows", 0, x)
	y := b.add(Operand{Kind: Activation, Per: PerLogit, Rows: 1, Cols: o.Cols})
	b.emit(opRows, Instr{Out: results(y), In: reads(x)})
	return y
}
