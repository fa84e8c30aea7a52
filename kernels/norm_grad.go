package kernels

import "math"

// rmsNormGrad: with r = 1 / sqrt(mean(x^2) + eps) and u = dy * w,
// dx = r u - x r^3 mean(u x), dw = the sum over the rows of dy * x * r.
func rmsNormGrad(g *gradients, in Instr) { g.norm(opRMSNormDX, in, -1) }

// layerNormGrad: with n = (x - mean) r and u = dy * w,
// dx = r (u - mean(u) - n mean(u n)), dw = the sum of dy * n, db that of dy.
func layerNormGrad(g *gradients, in Instr) { g.norm(opLayerNormDX, in, in.In[2]) }

func (g *gradients) norm(o *op, in Instr, bias int32) {
	dy, x, w, group := g.total(in.Out[0]), in.In[0], in.In[1], in.I[0]
	g.columnSums(bias, dy)
	cols := g.at(Value(x)).Cols
	stats := g.like(Value(x), 2*cols/int(group))
	dx := g.like(Value(x), cols)
	g.emit(o, Instr{Out: results(dx, stats), In: reads(g.soFar(x), dy, Value(x), Value(w)), I: in.I, F: in.F})
	if dw := g.weight(w); dw >= 0 {
		g.emit(opNormDW, Instr{Out: results(dw), In: reads(dy, Value(x), stats), I: in.I})
	}
	if g.needs(x) {
		g.set(x, dx)
	}
}

// RMSNORM_DX: out0 [n, C] = in0 + the gradient of RMSNORM's input, group by group.
//
//	out0 dx [n, C] ; out1 stats [n, 2G] ; in0 [n, C] or absent ; in1 dy, in2 x [n, C] ; in3 w [D] or absent
//	i0 D, C = G*D ; f0 eps
//
// stats holds, per group, a mean of 0 and r. Sums in 16 lanes (lanes.go). out0 may be in0.
var opRMSNormDX = register(op{name: "rmsnorm_dx", code: 23, ref: rmsNormDXRef, inPlace: true})

func rmsNormDXRef(s *step, in *Instr) {
	s.normDX(in, func(dx, u, x []float32) (mean, r float32) {
		n := float32(len(x))
		r = 1 / float32(math.Sqrt(float64(dot(x, x)/n+in.F[0])))
		c := dot(u, x) / n * r * r * r
		for i := range dx {
			dx[i] = float32(r*u[i]) - float32(c*x[i])
		}
		return 0, r
	})
}

// LAYERNORM_DX: as RMSNORM_DX with the one group of LAYERNORM and in3 its weight; stats
// holds mean and r.
var opLayerNormDX = register(op{name: "layernorm_dx", code: 25, ref: layerNormDXRef, inPlace: true})

func layerNormDXRef(s *step, in *Instr) {
	s.normDX(in, func(dx, u, x []float32) (mean, r float32) {
		n := float32(len(x))
		mean = sum(x) / n
		for i, v := range x {
			dx[i] = v - mean
		}
		r = 1 / float32(math.Sqrt(float64(dot(dx, dx)/n+in.F[0])))
		a, c := sum(u)/n, dot(u, dx)/n*r*r
		for i, d := range dx {
			dx[i] = r * (u[i] - a - float32(c*d))
		}
		return mean, r
	})
}

// normDX calls f for each group with u = dy * w.
func (s *step) normDX(in *Instr, f func(dx, u, x []float32) (mean, r float32)) {
	d, w := int(in.I[0]), s.vector(in.In[3])
	sum, u := make([]float32, s.operands[in.In[2]].Cols), make([]float32, d)
	for row := range s.count(in.Out[0]) {
		dy, x, stats := s.row(in.In[1], row), s.row(in.In[2], row), s.row(in.Out[1], row)
		for g := range len(x) / d {
			copy(u, dy[g*d:])
			for i := range w {
				u[i] *= w[i]
			}
			stats[2*g], stats[2*g+1] = f(sum[g*d:][:d], u, x[g*d:][:d])
		}
		s.addTo(in, row, sum)
	}
}

// NORM_DW: out0 [1, D] += the sum over rows, and in a row over groups, of dy (x - mean) r.
//
//	out0 Gradient [1, D] ; in0 dy, in1 x [n, C] ; in2 stats [n, 2G] ; i0 D
var opNormDW = register(op{name: "norm_dw", code: 24, ref: normDWRef})

func normDWRef(s *step, in *Instr) {
	d := int(in.I[0])
	total := make([]float32, d)
	for row := range s.count(in.In[0]) {
		dy, x, stats := s.row(in.In[0], row), s.row(in.In[1], row), s.row(in.In[2], row)
		for i := range x {
			mean, r := stats[i/d*2], stats[i/d*2+1]
			total[i%d] += float32(dy[i] * float32((x[i]-mean)*r))
		}
	}
	addProduct(s.vector(in.Out[0]), 1, total)
}
