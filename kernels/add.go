package kernels

// ADD: out0 = in0 + f0 * in1, elementwise; the product is rounded before the addition.
// out0 may be in0. The same bits in every table.
var opAdd = register(op{name: "add", code: 10, ref: addRef, inPlace: true})

func init() { opAdd.grad = addGrad }

func addRef(s *step, in *Instr) {
	for r := range s.count(in.Out[0]) {
		x, y, z := s.row(in.In[0], r), s.row(in.In[1], r), s.row(in.Out[0], r)
		for i := range z {
			z[i] = x[i] + float32(in.F[0]*y[i])
		}
	}
}

// Add returns x + scale*y, of the same shape.
func (b *Builder) Add(x, y Value, scale float32) Value {
	b.need("add", 0, x, y)
	z := b.like(x, b.at(x).Cols)
	b.emit(opAdd, Instr{Out: results(z), In: reads(x, y), F: [4]float32{scale}})
	return z
}
