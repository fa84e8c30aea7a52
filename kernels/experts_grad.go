package kernels

import "github.com/ingot-llm/ingot/quant"

// COMBINE_DX: the gradients of COMBINE's results and weights.
//
//	out0 dy [T*k, D]: row t*k+j = weights[t, j] * in0's row t ; out1 dw [T, k] = in0's row t . y's row t*k+j
//	in0 [T, D] ; in1 y [T*k, D] ; in2 weights [T, k] ; i0 k
var opCombineDX = register(op{name: "combine_dx", code: 39, ref: combineDXRef})

func combineGrad(g *gradients, in Instr) {
	y, w := Value(in.In[0]), Value(in.In[1])
	dy, dw := g.add(*g.at(y)), g.like(w, g.at(w).Cols)
	g.p.Operands[dy].Kind = Activation
	g.emit(opCombineDX, Instr{Out: results(dy, dw), In: reads(g.total(in.Out[0]), y, w), I: in.I})
	g.sum(int32(y), dy)
	g.sum(int32(w), dw)
}

func combineDXRef(s *step, in *Instr) {
	k := int(in.I[0])
	for t := range s.batch.Tokens {
		dz := s.row(in.In[0], t)
		for j, w := range s.row(in.In[2], t) {
			dy := s.row(in.Out[0], t*k+j)
			for d, v := range dz {
				dy[d] = w * v
			}
			s.row(in.Out[1], t)[j] = dot(dz, s.row(in.In[1], t*k+j))
		}
	}
}

// ROUTE_DX: the gradient of ROUTE's logits.
//
//	out0 [T, E] ; in0 dweights [T, k] or absent ; in1 logits [T, E] ; in2 ids [T, k] i32 ; in3 weights [T, k]
//	i0 k, i1 renormalise ; f0 scale, f1 balance
//
// With p the softmax of the logits and u_e = dweights_j * scale of the chosen experts, 0
// of the others: renormalised, dlogits_e = w_e/scale * (u_e - sum of u w/scale) over the
// chosen; else p_e (u_e - sum of u p). balance adds the gradient of
//
//	balance * E * sum over e of f_e p_e    f_e = the share of the step's choices that fell on e
//
// per token, f held constant (Fedus et al. 2021, equation 4).
var opRouteDX = register(op{name: "route_dx", code: 36, ref: routeDXRef})

func routeGrad(g *gradients, in Instr) {
	if !g.needs(in.In[0]) {
		return
	}
	f := in.F
	f[1] = g.Balance
	dx := g.like(Value(in.In[0]), g.at(Value(in.In[0])).Cols)
	g.emit(opRouteDX, Instr{
		Out: results(dx), In: reads(g.total(in.Out[1]), Value(in.In[0]), Value(in.Out[0]), Value(in.Out[1])), I: in.I, F: f,
	})
	g.sum(in.In[0], dx)
}

func routeDXRef(s *step, in *Instr) {
	share := s.shares(in)
	p := make([]float32, len(share))
	for t := range s.batch.Tokens {
		dx := s.row(in.Out[0], t)
		softmax(p, s.row(in.In[1], t))
		clear(dx)
		s.chosenDX(in, t, dx, p)
		if in.F[1] != 0 {
			balanceDX(dx, p, share, in.F[1]*float32(len(p)))
		}
	}
}

// shares returns the share of the step's choices that fell on each expert.
func (s *step) shares(in *Instr) []float32 {
	share := make([]float32, s.operands[in.In[1]].Cols)
	for t := range s.batch.Tokens {
		for _, e := range s.ids(in.In[2], t) {
			share[e]++
		}
	}
	for e := range share {
		share[e] /= float32(len(s.batch.Tokens) * int(in.I[0]))
	}
	return share
}

func softmax(p, x []float32) {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	var total float32
	for i, v := range x {
		p[i] = exp(v - top)
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
}

// chosenDX adds the gradient that comes through the chosen experts' weights to dx.
func (s *step) chosenDX(in *Instr, t int, dx, p []float32) {
	if in.In[0] < 0 {
		return
	}
	ids, w, dw := s.ids(in.In[2], t), s.row(in.In[3], t), s.row(in.In[0], t)
	var mean float32
	for j, e := range ids {
		q := p[e]
		if in.I[1] != 0 {
			q = w[j] / in.F[0]
		}
		u := dw[j] * in.F[0] * q
		dx[e] += u
		mean += u
	}
	if in.I[1] == 0 {
		addProduct(dx, -mean, p)
		return
	}
	for j, e := range ids {
		dx[e] -= mean * (w[j] / in.F[0])
	}
}

// balanceDX adds scale * p_e (f_e - sum of f p) to dx.
func balanceDX(dx, p, share []float32, scale float32) {
	var mean float32
	for e, v := range p {
		mean += share[e] * v
	}
	for e, v := range p {
		dx[e] += scale * v * (share[e] - mean)
	}
}

// expertGrad is linearGrad with the weight of each slot's expert.
func expertGrad(g *gradients, in Instr) {
	dy, x, w, bias := g.total(in.Out[0]), in.In[0], in.In[1], in.In[2]
	if dw, db := g.weight(w), g.weight(bias); dw >= 0 || db >= 0 {
		g.emit(opExpertDW, Instr{Out: results(dw, db), In: reads(dy, Value(x), Value(in.In[3])), I: in.I})
	}
	if !g.needs(x) {
		return
	}
	k, o := int(in.I[0]), *g.at(Value(x))
	dx := g.add(Operand{Kind: Activation, Per: PerToken, Rows: k, Cols: o.Cols})
	g.emit(opExpertDX, Instr{Out: results(dx), In: reads(dy, Value(w), Value(in.In[3]), Value(x)), I: in.I})
	if o.Rows != k {
		slots := dx
		dx = g.add(Operand{Kind: Activation, Per: PerToken, Rows: 1, Cols: o.Cols})
		g.emit(opSlotSums, Instr{Out: results(dx), In: reads(slots), I: in.I})
	}
	g.sum(x, dx)
}

// EXPERT_DX: the gradient of what each slot of EXPERT_LINEAR read: dy's row times its
// expert's W, the sum over O in order.
//
//	out0 [T*k, K] ; in0 dy [T*k, O] f32 ; in1 W [E*O, K] ; in2 ids [T, k] ; in3 EXPERT_LINEAR's x
//	i0 k, i2 E, i3 O
//
// Factors are rounded to bf16 unless x is f32.
var opExpertDX = register(op{name: "expert_dx", code: 37, ref: expertDXRef})

func expertDXRef(s *step, in *Instr) {
	exact := s.operands[in.In[3]].DType == quant.F32
	w := s.matrix(in.In[1], !exact)
	k, outs, cols := int(in.I[0]), int(in.I[3]), s.operands[in.Out[0]].Cols
	dy := make([]float32, outs)
	for t := range s.batch.Tokens {
		for j, e := range s.ids(in.In[2], t) {
			dx := s.row(in.Out[0], t*k+j)
			clear(dx)
			s.factorRow(dy, in.In[0], t*k+j, exact)
			for o, d := range dy {
				addProduct(dx, d, w[(int(e)*outs+o)*cols:][:cols])
			}
		}
	}
}

// SLOT_SUMS: out0 [T, D] = the sum of in0's rows t*k ... t*k+k-1, in order.
//
//	in0 [T*k, D] ; i0 k
var opSlotSums = register(op{name: "slot_sums", code: 41, ref: slotSumsRef})

func slotSumsRef(s *step, in *Instr) {
	k := int(in.I[0])
	for t := range s.batch.Tokens {
		copy(s.row(in.Out[0], t), s.row(in.In[0], t*k))
		for j := 1; j < k; j++ {
			addProduct(s.row(in.Out[0], t), 1, s.row(in.In[0], t*k+j))
		}
	}
}

// factorRow copies row r of v to dst, rounded to bf16 unless exact.
func (s *step) factorRow(dst []float32, v int32, r int, exact bool) {
	copy(dst, s.row(v, r))
	if !exact {
		roundBF16(dst)
	}
}

// EXPERT_DW: out0 [E*O, K] += dy^T x of each expert's slots, in order; out1 [E, O] += the
// sum of their dy.
//
//	out0, out1 Gradients, either may be absent ; in0 dy [T*k, O] f32 ; in1 EXPERT_LINEAR's x ; in2 ids [T, k]
//	i0 k, i1, i2 E, i3 O
var opExpertDW = register(op{name: "expert_dw", code: 38, ref: expertDWRef})

func expertDWRef(s *step, in *Instr) {
	exact := s.operands[in.In[1]].DType == quant.F32
	k, outs := int(in.I[0]), int(in.I[3])
	dy := make([]float32, outs)
	for t := range s.batch.Tokens {
		for j, e := range s.ids(in.In[2], t) {
			slot := t*k + j
			if in.Out[1] >= 0 {
				addProduct(s.vector(in.Out[1])[int(e)*outs:][:outs], 1, s.row(in.In[0], slot))
			}
			if in.Out[0] < 0 {
				continue
			}
			s.factorRow(dy, in.In[0], slot, exact)
			for o, d := range dy {
				addProduct(s.row(in.Out[0], int(e)*outs+o), d, s.actRow(in.In[1], s.expertInput(in, slot)))
			}
		}
	}
}
