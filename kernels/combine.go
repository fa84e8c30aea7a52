package kernels

// COMBINE: out0 [T, D] = sum over j, in order, of weights[t, j] * y[t*k+j].
//
//	in0 y [T*k, D] ; in1 weights [T, k] ; i0 k
//
// The sum starts with the first product; products are rounded before they are added.
// The same bits in every table.
var opCombine = register(op{name: "combine", code: 17, ref: combineRef})

func init() { opCombine.grad = combineGrad }

func combineRef(s *step, in *Instr) {
	k := int(in.I[0])
	for t := range s.batch.Tokens {
		out := s.row(in.Out[0], t)
		for j, w := range s.row(in.In[1], t) {
			for d, v := range s.row(in.In[0], t*k+j) {
				if j == 0 {
					out[d] = w * v
				} else {
					out[d] += float32(w * v)
				}
			}
		}
	}
}

// Combine adds up the experts' results y [T*k, D] with their weights [T, k].
func (b *Builder) Combine(y, weights Value) Value {
	o, w := *b.at(y), b.at(weights)
	b.need("combine", 0, y)
	b.need("combine", 0, weights)
	if o.Per != PerToken || w.Per != PerToken || w.Rows != 1 || o.Rows != w.Cols {
		misfit("combine: %s with the weights %s", b.p.shape(int32(y)), b.p.shape(int32(weights)))
	}
	z := b.add(Operand{Kind: Activation, Per: PerToken, Rows: 1, Cols: o.Cols})
	b.emit(opCombine, Instr{Out: results(z), In: reads(y, weights), I: [8]int32{int32(o.Rows)}})
	return z
}
