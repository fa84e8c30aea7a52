package kernels

import "math"

// LAYERNORM: y = (x - mean) * (1 / sqrt(mean((x - mean)^2) + eps)) * w + b.
//
//	out0, in0 [n, D] ; in1 w [D] f32 ; in2 b [D] f32 or absent ; i0 D ; f0 eps
//
// Ba et al. 2016. Two passes: the mean first, then the mean of the squared
// differences, each sum in 16 lanes (lanes.go).
var opLayerNorm = register(op{name: "layernorm", code: 3, ref: layerNormRef})

func init() { opLayerNorm.grad = layerNormGrad }

func layerNormRef(s *step, in *Instr) {
	w, bias := s.vector(in.In[1]), s.vector(in.In[2])
	for r := range s.count(in.Out[0]) {
		layerNorm(s.row(in.Out[0], r), s.row(in.In[0], r), w, bias, in.F[0])
	}
}

func layerNorm(y, x, w, bias []float32, eps float32) {
	n := float32(len(x))
	mean := sum(x) / n
	for i, v := range x {
		y[i] = v - mean
	}
	scale := 1 / float32(math.Sqrt(float64(dot(y, y)/n+eps)))
	for i := range y {
		y[i] = float32(float32(y[i]*scale) * w[i])
		if bias != nil {
			y[i] += bias[i]
		}
	}
}

// LayerNorm normalises each row of x [n, D] and scales it with w [D]; bias [D] may be
// absent.
func (b *Builder) LayerNorm(x Value, w, bias Tensor, eps float32) Value {
	cols := b.at(x).Cols
	b.need("layernorm "+w.Name, 0, x)
	if w.Data == nil {
		misfit("layernorm of %s without a weight", b.p.shape(int32(x)))
	}
	in := reads(x, b.vector("layernorm", w, cols), b.vector("layernorm", bias, cols))
	y := b.like(x, cols)
	b.emit(opLayerNorm, Instr{Out: results(y), In: in, I: [8]int32{int32(cols)}, F: [4]float32{eps}})
	return y
}
