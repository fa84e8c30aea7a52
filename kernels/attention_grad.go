package kernels

import "fmt"

// ATTENTION_DX: the gradients of ATTENTION's queries, keys and values (Dao et al. 2022,
// algorithm 4). Every sequence begins at position 0: its rows are its keys.
//
//	out0 dq [T, H*Dk] ; out1 [T, KVH*Dk + KVH*Dv]: dk, then dv
//	in0 q [T, H*Dk] ; in1 k [T, KVH*Dk] ; in2 v [T, KVH*Dv] ; in3 ATTENTION's result y, in4 dy [T, H*Dv]
//	in5 ATTENTION's out1 [T, H] ; i0 ... i5, f0, f1 as ATTENTION's ; i6: the cache is BF16
//
// For query row i and each key j that it sees, with e = sum over d of dy_i,d y_i,d,
//
//	s = scale * (q_i . k_j)    c = softcap * tanh(s/softcap), or s without one
//	p = exp(c - lse_i)         g = p * ((dy_i . v_j) - e) * (1 - (c/softcap)^2) * scale
//	dq_i += g k_j    dk_j += g q_i    dv_j += p dy_i
//
// With i6 the factors q, k, v, dy, p and g of the products are rounded to bf16; sums are
// f32, in each table's own order, which depends on the sequence's length alone.
var opAttentionDX = register(op{name: "attention_dx", code: 27, ref: attentionDXRef})

func attentionGrad(g *gradients, in Instr) {
	store := g.storeOf(in)
	k, v, dy := store.In[0], store.In[1], g.total(in.Out[0])
	kCols, vCols := g.at(Value(k)).Cols, g.at(Value(v)).Cols
	dq := g.like(Value(in.In[0]), g.at(Value(in.In[0])).Cols)
	dkv := g.like(Value(k), kCols+vCols)
	i := in.I
	i[6] = 0
	switch kv := kvTypeOf(g.at(Value(in.In[1])).DType); kv {
	case KVBF16:
		i[6] = 1
	case KVQ8_0:
		misfit("attention over a %v cache has no gradient: train with bf16 or f32", kv)
	}
	g.emit(opAttentionDX, Instr{
		Out: results(dq, dkv), In: reads(Value(in.In[0]), Value(k), Value(v), Value(in.Out[0]), dy, Value(in.Out[1])), I: i, F: in.F,
	})
	g.sum(in.In[0], dq)
	g.sum(k, g.View(dkv, 0, kCols))
	g.sum(v, g.View(dkv, kCols, vCols))
	if ds := g.weight(in.In[3]); ds >= 0 {
		g.emit(opSinksDW, Instr{Out: results(ds), In: reads(Value(in.Out[0]), dy, Value(in.Out[1]), Value(in.In[3])), I: in.I})
	}
}

// storeOf returns the last instruction that wrote attention's caches.
func (g *gradients) storeOf(attention Instr) Instr {
	for i := len(g.p.Instrs) - 1; i >= 0; i-- {
		if in := g.p.Instrs[i]; in.Op == opStoreKV.code && in.In[2] == attention.In[1] {
			return in
		}
	}
	panic(fmt.Sprintf("BUG: nothing writes %s", g.p.reference(attention.In[1])))
}

func attentionDXRef(s *step, in *Instr) {
	a := attentionDX{s: s, in: in, dk: int(in.I[2]), dv: int(in.I[3])}
	for t := range s.batch.Tokens {
		clear(s.row(in.Out[0], t))
		clear(s.row(in.Out[1], t))
	}
	for seq := range s.batch.SeqLen {
		first, end := int(s.batch.RowStart[seq]), int(s.batch.RowStart[seq+1])
		for t := first; t < end; t++ {
			for h := range int(in.I[0]) {
				a.head(first, end, t, h)
			}
		}
	}
}

// attentionDX is one instruction's work on one row and head after another.
type attentionDX struct {
	s      *step
	in     *Instr
	dk, dv int
}

// head adds what query head h of row t gives; first ... end-1 are its sequence's rows.
func (a *attentionDX) head(first, end, t, h int) {
	s, in := a.s, a.in
	kv := h / int(in.I[0]/in.I[1])
	q, dq := s.row(in.In[0], t)[h*a.dk:][:a.dk], s.row(in.Out[0], t)[h*a.dk:][:a.dk]
	y, dy := s.row(in.In[3], t)[h*a.dv:][:a.dv], s.row(in.In[4], t)[h*a.dv:][:a.dv]
	lse, e := s.row(in.In[5], t)[h], dot(dy, y)
	q, dy = a.factors(q), a.factors(dy)
	lo, hi := first, t
	if in.I[5] == 0 {
		hi = end - 1
	}
	if w := int(in.I[4]); w > 0 {
		lo = max(lo, t-w+1)
	}
	for j := lo; j <= hi; j++ {
		k, v := a.factors(s.row(in.In[1], j)[kv*a.dk:][:a.dk]), a.factors(s.row(in.In[2], j)[kv*a.dv:][:a.dv])
		p, g := a.weights(dot(q, k), dot(dy, v), lse, e)
		dkv := s.row(in.Out[1], j)
		addProduct(dq, g, k)
		addProduct(dkv[kv*a.dk:][:a.dk], g, q)
		addProduct(dkv[int(in.I[1])*a.dk+kv*a.dv:][:a.dv], p, dy)
	}
}

// weights returns p and g of the formula, as factors.
func (a *attentionDX) weights(qk, dyv, lse, e float32) (p, g float32) {
	score, slope := qk*a.in.F[0], a.in.F[0]
	if c := a.in.F[1]; c != 0 {
		score = softcap(score, c)
		slope *= 1 - (score/c)*(score/c)
	}
	p = exp(score - lse)
	return a.factors([]float32{p})[0], a.factors([]float32{p * (dyv - e) * slope})[0]
}

// factors returns x as it counts in a product.
func (a *attentionDX) factors(x []float32) []float32 {
	if a.in.I[6] == 0 {
		return x
	}
	rounded := append([]float32(nil), x...)
	roundBF16(rounded)
	return rounded
}

// SINKS_DW: out0 [1, H] -= the sum over rows, in order, of exp(sink - lse) * (dy . y).
//
//	out0 Gradient [1, H] ; in0 y, in1 dy [T, H*Dv] ; in2 lse [T, H] ; in3 sinks [H] ; i0 H, i3 Dv
var opSinksDW = register(op{name: "sinks_dw", code: 28, ref: sinksDWRef})

func sinksDWRef(s *step, in *Instr) {
	sinks, d := s.vector(in.In[3]), int(in.I[3])
	for h, sink := range sinks {
		var total float32
		for t := range s.batch.Tokens {
			y, dy := s.row(in.In[0], t)[h*d:][:d], s.row(in.In[1], t)[h*d:][:d]
			total += exp(sink-s.row(in.In[2], t)[h]) * dot(dy, y)
		}
		s.vector(in.Out[0])[h] -= total
	}
}
