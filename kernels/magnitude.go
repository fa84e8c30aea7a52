package kernels

import "math"

// ADAPTED_NORMS: the length of each row of W + s B A for N adapters of W (DoRA: Liu et al.
// 2024, "V + Delta V"). A row of zeros counts as one of length 1.
//
//	out0 [N, O] f32 ; in0 W [O, K] ; in1 A [N*rank, K] ; in2 B [N*O, rank] ; in3 s [1, N] f32
//
// The products s B A are rounded before they are added to the row, in the order of the
// rank; the squares are summed in 16 lanes (lanes.go). The same bits in every table.
var opAdaptedNorms = register(op{name: "adapted_norms", code: 46, ref: adaptedNormsRef})

func adaptedNormsRef(s *step, in *Instr) {
	w, a, b := s.operands[in.In[0]], s.operands[in.In[1]], s.operands[in.In[2]]
	rank, scales := b.Cols, s.vector(in.In[3])
	parallel(w.Rows, w.Cols*a.Rows, func(from, to int) {
		row, down, up := make([]float32, w.Cols), make([]float32, w.Cols), make([]float32, rank)
		for o := from; o < to; o++ {
			for n, scale := range scales {
				s.dequantize(row, in.In[0], o)
				s.dequantize(up, in.In[2], n*w.Rows+o)
				for r, u := range up {
					s.dequantize(down, in.In[1], n*rank+r)
					addProduct(row, float32(scale*u), down)
				}
				s.row(in.Out[0], n)[o] = length(row)
			}
		}
	})
}

func length(x []float32) float32 {
	if l := float32(math.Sqrt(float64(dot(x, x)))); l > 0 {
		return l
	}
	return 1
}

// MAGNITUDE: out0 = in0 * (m / norm) + bias by the row's adapter, each step rounded; a row
// without an adapter is in0 + bias. out0 may be in0. The same bits in every table.
//
//	out0, in0 [n, O] f32 ; in1 m [N, O] f32 ; in2 norms [N, O] f32
//	in3 ids [n, 1] i32, absent: all rows take the first ; in4 bias [O] f32 or absent
var opMagnitude = register(op{name: "magnitude", code: 47, ref: magnitudeRef, inPlace: true})

func init() { opMagnitude.grad = magnitudeGrad }

func magnitudeRef(s *step, in *Instr) {
	bias := s.vector(in.In[4])
	for r := range s.count(in.Out[0]) {
		y, z, id := s.row(in.In[0], r), s.row(in.Out[0], r), int32(0)
		if in.In[3] >= 0 {
			id = s.ids(in.In[3], r)[0]
		}
		copy(z, y)
		if id >= 0 {
			m, norms := s.row(in.In[1], int(id)), s.row(in.In[2], int(id))
			for i := range z {
				z[i] *= m[i] / norms[i]
			}
		}
		addProduct(z, 1, bias)
	}
}

// magnitudeGrad: the norms are constants, as DoRA has it (section 4.3), so that the
// gradient of what they scale is scaled alike, and that of m is sum(dy y) / norm.
func magnitudeGrad(g *gradients, in Instr) {
	dy := g.total(in.Out[0])
	g.columnSums(in.In[4], dy)
	if dm := g.weight(in.In[1]); dm >= 0 {
		g.emit(opMagnitudeDW, Instr{Out: results(dm), In: reads(dy, Value(in.In[0]), Value(in.In[2]))})
	}
	if g.needs(in.In[0]) {
		dx := g.like(dy, g.at(dy).Cols)
		g.emit(opMagnitude, Instr{Out: results(dx), In: reads(dy, Value(in.In[1]), Value(in.In[2]), -1, -1)})
		g.sum(in.In[0], dx)
	}
}

// MAGNITUDE_DW: out0 += (the sum over the rows, in order, of in0 * in1) / norm.
//
//	out0 Gradient [1, O] ; in0 dy, in1 y [n, O] f32 ; in2 norms [1, O] f32
var opMagnitudeDW = register(op{name: "magnitude_dw", code: 48, ref: magnitudeDWRef})

func magnitudeDWRef(s *step, in *Instr) {
	out, norms := s.row(in.Out[0], 0), s.row(in.In[2], 0)
	total := make([]float32, len(out))
	for r := range s.count(in.In[0]) {
		y := s.row(in.In[1], r)
		for i, d := range s.row(in.In[0], r) {
			total[i] += float32(d * y[i])
		}
	}
	for i := range out {
		out[i] += total[i] / norms[i]
	}
}

// scaledBy returns y times Magnitude/Norms of the adapter in ids (-1: of the only one), plus bias.
func (b *Builder) scaledBy(a LowRank, w Tensor, y, ids Value, bias Tensor) Value {
	norms := b.f32(a.Norms)
	if norms < 0 {
		norms = b.AdaptedNorms(a, w)
	}
	out := b.like(y, b.at(y).Cols)
	b.emit(opMagnitude, Instr{Out: results(out), In: reads(y, b.f32(a.Magnitude), norms, ids, b.vector("magnitude", bias, w.Rows()))})
	return out
}

// AdaptedNorms appends the computation of a's Norms [N, O] beside w, which it returns.
func (b *Builder) AdaptedNorms(a LowRank, w Tensor) Value {
	a.check(w)
	norms := b.add(Operand{Kind: Activation, Rows: len(a.Scale), Cols: w.Rows()})
	b.emit(opAdaptedNorms, Instr{Out: results(norms), In: reads(b.readable(w), b.weight(a.A), b.weight(a.B), b.scales(a, w))})
	return norms
}
