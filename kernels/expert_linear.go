package kernels

import (
	"fmt"

	"github.com/ingot-llm/ingot/quant"
)

// EXPERT_LINEAR: the product of LINEAR with the weight of each slot's expert.
//
//	out0 [T*k, O] ; in0 x f32 or packed, T rows (i1 = 0: slot t*k+j reads row t) or T*k (i1 = 1)
//	in1 W [E*O, K] ; in2 bias [E, O] f32 or absent ; in3 ids [T, k] ; i0 k, i2 E, i3 O
//
// T may also be the rows of logits. An id of -1 leaves its slot's row as it was.
var opExpertLinear = register(op{name: "expert_linear", code: 16, ref: expertLinearRef, flops: func(p *Program, in *Instr, _ int) int64 {
	return 2 * int64(in.I[3]) * int64(p.Operands[in.In[1]].Cols)
}})

func init() { opExpertLinear.grad = expertGrad }

func expertLinearRef(s *step, in *Instr) {
	bias := s.vector(in.In[2])
	slots := s.slotsByExpert(in)
	outs := int(in.I[3])
	cols := s.operands[in.In[1]].Cols
	parallel(outs, cols*s.count(in.Out[0]), func(from, to int) {
		w := weightRow{s: s, x: in.In[0], w: in.In[1]}
		for expert, used := range slots {
			for o := from; o < to && len(used) > 0; o++ {
				w.load(expert*outs + o)
				for _, slot := range used {
					y := w.times(s.expertInput(in, slot))
					if bias != nil {
						y += bias[expert*outs+o]
					}
					s.row(in.Out[0], slot)[o] = y
				}
			}
		}
	})
}

// slotsByExpert returns the slots t*k+j of each expert.
func (s *step) slotsByExpert(in *Instr) [][]int {
	slots := make([][]int, in.I[2])
	for t := range s.count(in.In[3]) {
		for j, expert := range s.ids(in.In[3], t) {
			if expert >= 0 {
				slots[expert] = append(slots[expert], t*int(in.I[0])+j)
			}
		}
	}
	return slots
}

func (s *step) expertInput(in *Instr, slot int) int {
	if in.I[1] == 0 {
		return slot / int(in.I[0])
	}
	return slot
}

// ExpertLinear multiplies x with the weights of the experts ids [T, k] in w [E, O, K]
// and adds their rows of bias [E, O], where it is present. x has one row per token or
// one per slot (token and expert); the result [T*k, O] has one per slot.
func (b *Builder) ExpertLinear(x, ids Value, w, bias Tensor) Value {
	o, chosen := *b.at(x), b.at(ids)
	k := chosen.Cols
	if len(w.Shape) != 3 || chosen.DType != quant.I32 || o.Per != chosen.Per || o.Rows != 1 && o.Rows != k {
		misfit("expert linear %s %v: of %s with the experts %s",
			w.Name, w.Shape, b.p.shape(int32(x)), b.p.shape(int32(ids)))
	}
	b.need(fmt.Sprintf("expert linear %s %v", w.Name, w.Shape), w.Cols(), x)
	experts, outs := w.Shape[0], w.Shape[1]
	weight := b.readable(w)
	in := reads(b.packFor(x, weight), weight, b.vector("expert linear", bias, experts*outs), ids)
	y := b.add(Operand{Kind: Activation, Per: o.Per, Rows: k, Cols: outs})
	perSlot := int32(0)
	if o.Rows == k {
		perSlot = 1
	}
	b.emit(opExpertLinear, Instr{Out: results(y), In: in, I: [8]int32{int32(k), perSlot, int32(experts), int32(outs)}})
	b.observe(x, w, ids, perSlot)
	return y
}
