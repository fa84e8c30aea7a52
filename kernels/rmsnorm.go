package kernels

import "math"

// RMSNORM: y = x * (1 / sqrt(mean(x^2) + eps)) * w, over each group of D columns apart.
//
//	out0, in0 [n, C] ; in1 w [D] f32 or absent ; i0 D, C = G*D ; f0 eps
//
// Zhang & Sennrich 2019. The sum of squares is taken in 16 lanes (lanes.go).
var opRMSNorm = register(op{name: "rmsnorm", code: 2, ref: rmsNormRef})

func init() { opRMSNorm.grad = rmsNormGrad }

func rmsNormRef(s *step, in *Instr) {
	d, w := int(in.I[0]), s.vector(in.In[1])
	for r := range s.count(in.Out[0]) {
		x, y := s.row(in.In[0], r), s.row(in.Out[0], r)
		for ; len(x) > 0; x, y = x[d:], y[d:] {
			rmsNorm(y[:d], x[:d], w, in.F[0])
		}
	}
}

func rmsNorm(y, x, w []float32, eps float32) {
	mean := dot(x, x) / float32(len(x))
	scale := 1 / float32(math.Sqrt(float64(mean+eps)))
	for i, v := range x {
		y[i] = v * scale
		if w != nil {
			y[i] *= w[i]
		}
	}
}

// RMSNorm normalises each group of group columns of x (0: the whole row) and scales it
// with w [group], where w is present.
func (b *Builder) RMSNorm(x Value, w Tensor, group int, eps float32) Value {
	cols := b.at(x).Cols
	if group == 0 {
		group = cols
	}
	b.need("rmsnorm "+w.Name, 0, x)
	if cols%group != 0 {
		misfit("rmsnorm %s: %s is not whole groups of %d columns", w.Name, b.p.shape(int32(x)), group)
	}
	weight := b.vector("rmsnorm", w, group)
	y := b.like(x, cols)
	b.emit(opRMSNorm, Instr{Out: results(y), In: reads(x, weight), I: [8]int32{int32(group)}, F: [4]float32{eps}})
	return y
}
