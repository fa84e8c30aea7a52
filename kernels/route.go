package kernels

import (
	"slices"

	"github.com/ingot-llm/ingot/quant"
)

// ROUTE: the k experts of each token and their weights.
//
//	out0 ids [T, k] i32 ; out1 weights [T, k] f32 ; in0 logits [T, E] ; i0 k, i1 renormalise ; f0 scale
//
// The experts are those with the largest logits, in descending order, the lower id
// first where two are equal. A weight is the expert's softmax over all E, divided by
// the sum of the k weights where i1 is set, times scale.
var opRoute = register(op{name: "route", code: 15, ref: routeRef})

func init() { opRoute.grad = routeGrad }

func routeRef(s *step, in *Instr) {
	for t := range s.batch.Tokens {
		logits, ids, weights := s.row(in.In[0], t), s.ids(in.Out[0], t), s.row(in.Out[1], t)
		for j := range ids {
			ids[j] = largest(logits, ids[:j])
		}
		var total float32
		top := logits[ids[0]]
		for _, v := range logits {
			total += exp(v - top)
		}
		var chosen float32
		for j, id := range ids {
			weights[j] = exp(logits[id]-top) / total
			chosen += weights[j]
		}
		if in.I[1] == 0 {
			chosen = 1
		}
		for j := range weights {
			weights[j] = weights[j] / chosen * in.F[0]
		}
	}
}

// largest returns the index of the largest logit that is not taken.
func largest(logits []float32, taken []int32) int32 {
	best := int32(-1)
	for e, v := range logits {
		if !slices.Contains(taken, int32(e)) && (best < 0 || v > logits[best]) {
			best = int32(e)
		}
	}
	return best
}

// Route returns the ids [T, k] and weights [T, k] of the k experts that the logits
// [T, E] choose. Weights sum to scale with renormalise.
func (b *Builder) Route(logits Value, k int, renormalise bool, scale float32) (ids, weights Value) {
	b.need("route", 0, logits)
	o := *b.at(logits)
	if k < 1 || k > o.Cols || o.Per != PerToken || o.Rows != 1 {
		misfit("route: %d experts of %s", k, b.p.shape(int32(logits)))
	}
	ids = b.add(Operand{Kind: Activation, DType: quant.I32, Per: PerToken, Rows: 1, Cols: k})
	weights = b.like(logits, k)
	in := Instr{Out: results(ids, weights), In: reads(logits), I: [8]int32{int32(k), 0}, F: [4]float32{scale}}
	if renormalise {
		in.I[1] = 1
	}
	b.emit(opRoute, in)
	return ids, weights
}
