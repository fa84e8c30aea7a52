package kernels

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/ingot-llm/ingot/quant"
)

// LINEAR: y[n, o] = sum over k of x[n, k] W[o, k], then + bias[o].
//
//	out0 [n, O] ; in0 x [n, K] f32 or packed ; in1 W [O, K] ; in2 bias [O] f32 or absent
//
// x f32 (W is F32): f32 products and sums. x PackBF16: W is dequantized and rounded
// once to bf16; products are exact in f32, sums f32. The order of the additions is each
// table's own but depends on K alone; the reference adds in 16 lanes.
//
// x PackInt8: W is in integer form per group g of 32 or 16 columns, W = S_g*Q - M_g
// (quant.IntForm). The sum starts at 0 and goes over the activations' blocks of 32 in
// order; with a block's scale sx and integers q, and its weights' one or two groups,
//
//	t = S_g*float(sum Q*q)               of the first group
//	t = fma(S_g, float(sum Q*q), t)      of the second
//	t = fma(-M_g, float(sum q), t)       after each, where the type has an offset
//	acc = fma(sx, t, acc)
//
// The integer sums are exact, so every table gives the same bits.
var opLinear = register(op{name: "linear", code: 5, ref: linearRef, flops: func(p *Program, in *Instr, _ int) int64 {
	w := &p.Operands[in.In[1]]
	return 2 * int64(w.Rows) * int64(w.Cols)
}})

func init() { opLinear.grad = linearGrad }

func linearRef(s *step, in *Instr) {
	bias := s.vector(in.In[2])
	rows := s.count(in.Out[0])
	parallel(s.operands[in.In[1]].Rows, rows*s.operands[in.In[1]].Cols, func(from, to int) {
		w := weightRow{s: s, x: in.In[0], w: in.In[1]}
		for o := from; o < to; o++ {
			w.load(o)
			for r := range rows {
				y := w.times(r)
				if bias != nil {
					y += bias[o]
				}
				s.row(in.Out[0], r)[o] = y
			}
		}
	})
}

// parallel calls f for parts of 0 ... n-1, in several goroutines where n elements of
// work each are worth it.
func parallel(n, work int, f func(from, to int)) {
	parts := min(runtime.GOMAXPROCS(0), n, 1+n*work/(1<<17)) // about 0.1 ms each
	var done sync.WaitGroup
	for i := range parts {
		done.Go(func() { f(n*i/parts, n*(i+1)/parts) })
	}
	done.Wait()
}

// weightRow multiplies one row of a weight with rows of activations.
type weightRow struct {
	s      *step
	x, w   int32
	floats []float32
	ints   quant.IntRow
}

// load takes row o of the weight, in the form that the activations ask for.
func (w *weightRow) load(o int) {
	form := w.s.operands[w.x].DType
	if form == PackInt8 {
		quant.IntForm(w.s.operands[w.w].DType, &w.ints, w.s.raw(w.w, o))
		return
	}
	if w.floats == nil {
		w.floats = make([]float32, w.s.operands[w.w].Cols)
	}
	w.s.dequantize(w.floats, w.w, o)
	if form == PackBF16 {
		for i, v := range w.floats {
			w.floats[i] = quant.BF16ToF32(quant.F32ToBF16(v))
		}
	}
}

// times returns the product with row r of the activations.
func (w *weightRow) times(r int) float32 {
	cols := w.s.operands[w.x].Cols
	switch w.s.operands[w.x].DType {
	case PackInt8:
		q, scale := packedInt8(w.s.raw(w.x, r), cols)
		return intDot(&w.ints, q, scale)
	case PackBF16:
		return dot(w.floats, packedBF16(w.s.raw(w.x, r), cols))
	}
	return dot(w.floats, w.s.row(w.x, r))
}

func intDot(w *quant.IntRow, q []int8, scale []float32) (acc float32) {
	per := quant.ActBlock / w.Group
	for b := range len(w.Scale) / per {
		var t float32
		for g := b * per; g < (b+1)*per; g++ {
			products, plain := intSums(w.Q[g*w.Group:][:w.Group], q[g*w.Group:][:w.Group])
			if g == b*per {
				t = w.Scale[g] * float32(products)
			} else {
				t = fma32(w.Scale[g], float32(products), t)
			}
			if w.Min != nil {
				t = fma32(-w.Min[g], float32(plain), t)
			}
		}
		acc = fma32(scale[b], t, acc)
	}
	return acc
}

// intSums returns the sum of w*q and that of q.
func intSums(w, q []int8) (products, plain int32) {
	for i, v := range q {
		products += int32(w[i]) * int32(v)
		plain += int32(v)
	}
	return products, plain
}

// Linear returns x W^T + bias: x [n, K], w [O, K], bias [O] or absent, with what w's
// adapters add (Adapt). x is packed once for all products that read it.
func (b *Builder) Linear(x Value, w, bias Tensor) Value {
	if w.Data == nil || len(w.Shape) != 2 {
		misfit("linear: %s has shape %v, want two dimensions", w.Name, w.Shape)
	}
	b.need(fmt.Sprintf("linear %s %v", w.Name, w.Shape), w.Cols(), x)
	weight, adapters, late := b.readable(w), b.adaptersOf(w), Tensor{}
	if adapters.Magnitude.Data != nil {
		bias, late = Tensor{}, bias
	}
	in := reads(b.packFor(x, weight), weight, b.vector("linear", bias, w.Shape[0]))
	y := b.like(x, w.Shape[0])
	b.emit(opLinear, Instr{Out: results(y), In: in})
	b.observe(x, w, -1, 0)
	return b.adapted(x, y, w, adapters, late)
}

// packFor returns x in the form that meets weight w.
func (b *Builder) packFor(x, w Value) Value {
	switch d := b.at(w).DType; {
	case d == quant.F32:
		return x
	case b.act == ActInt8 && quant.HasIntForm(d):
		return b.pack(x, PackInt8)
	}
	return b.pack(x, PackBF16)
}

// readable returns w as it lies where it is of a float or block type, else widened.
func (b *Builder) readable(w Tensor) Value {
	if w.DType == quant.F32 || w.DType == quant.F16 || w.DType == quant.BF16 || quant.HasIntForm(w.DType) {
		return b.weight(w)
	}
	return b.f32(w)
}
