package kernels

// SCALE: out0 = f0 * in0, elementwise. out0 may be in0. The same bits in every table.
var opScale = register(op{name: "scale", code: 11, ref: scaleRef, inPlace: true})

func init() { opScale.grad = scaleGrad }

func scaleRef(s *step, in *Instr) {
	s.each(in, func(x float32) float32 { return in.F[0] * x })
}

// each computes out0 = f(in0) for every element.
func (s *step) each(in *Instr, f func(x float32) float32) {
	for r := range s.count(in.Out[0]) {
		x, y := s.row(in.In[0], r), s.row(in.Out[0], r)
		for i, v := range x {
			y[i] = f(v)
		}
	}
}

// Scale returns s*x.
func (b *Builder) Scale(x Value, s float32) Value {
	return b.map1("scale", opScale, x, Instr{F: [4]float32{s}})
}

// map1 appends an elementwise operation of one input.
func (b *Builder) map1(name string, o *op, x Value, in Instr) Value {
	b.need(name, 0, x)
	y := b.like(x, b.at(x).Cols)
	in.Out, in.In = results(y), reads(x)
	b.emit(o, in)
	return y
}
