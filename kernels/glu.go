package kernels

// GLU: out0 [n, F] = act(in0) * in1, elementwise (Shazeer 2020). out0 may be in0.
//
//	in0 gate, in1 up [n, F] ; i0 Act ; SwiGLUClamped: f0 alpha, f1 limit
var opGLU = register(op{name: "glu", code: 14, ref: gluRef, inPlace: true})

func init() { opGLU.grad = gluGrad }

func gluRef(s *step, in *Instr) {
	for r := range s.count(in.Out[0]) {
		gate, up, y := s.row(in.In[0], r), s.row(in.In[1], r), s.row(in.Out[0], r)
		for i := range y {
			y[i] = glu(Act(in.I[0]), gate[i], up[i], in.F[0], in.F[1])
		}
	}
}

func glu(kind Act, gate, up, alpha, limit float32) float32 {
	if kind != SwiGLUClamped {
		return float32(kind.of(float64(gate))) * up
	}
	g, u := float64(min(gate, limit)), float64(min(max(up, -limit), limit))
	return float32(g * sigmoid(float64(alpha)*g) * (u + 1))
}

// GLU returns kind(gate) * up. alpha and limit are SwiGLUClamped's.
func (b *Builder) GLU(kind Act, gate, up Value, alpha, limit float32) Value {
	b.need("glu", 0, gate, up)
	y := b.like(gate, b.at(gate).Cols)
	b.emit(opGLU, Instr{
		Out: results(y), In: reads(gate, up), I: [8]int32{int32(kind)}, F: [4]float32{alpha, limit},
	})
	return y
}
