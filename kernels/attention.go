package kernels

import (
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/quant"
)

// ATTENTION over the layer's paged cache.
//
//	out0 [T, H*Dv] ; out1 [T, H] f32 or absent: m + log(l) ; in0 q [T, H*Dk] f32 ; in1 K cache ; in2 V cache ; in3 sinks [H] f32 or absent
//	i0 H, i1 KVH, i2 Dk, i3 Dv, i4 window (0: all), i5 causal ; f0 scale, f1 softcap (0: none)
//
// Row t of sequence s at position p sees the keys lo ... hi: hi is p, or the sequence's
// last key where i5 is 0; lo is max(0, p-window+1) with a window, else 0. Key j lies in
// the sequence's block table at j/16, offset j%16. Query head h reads KV head
// h / (H/KVH) (Ainslie et al. 2023).
//
// The softmax is online (Milakov & Gimelshein 2018) over spans of 64 keys in order, cut
// at absolute multiples of 64, so that the bits depend on positions alone. With the
// running maximum m (from -inf, or the sink's logit), total l (0, or 1 with a sink) and
// acc = 0, per span over its visible keys:
//
//	s_j = scale * (sum over d, in order, of q_d K_j,d)   then softcap * tanh(s_j/softcap)
//	m'  = max(m, max s_j)    c = exp(m - m')    p_j = exp(s_j - m')
//	l   = l*c + sum p_j      acc = acc*c + sum p_j V_j    (j in order)
//
// and the result is acc / l. With a BF16 cache the factors q_d and p_j of the products are
// rounded to bf16, half to even, as K and V are; the sum of the p_j is not.
var opAttention = register(op{name: "attention", code: 9, ref: attentionRef, flops: func(_ *Program, in *Instr, context int) int64 {
	if w := int(in.I[4]); w > 0 {
		context = min(context, w)
	}
	return 2 * int64(in.I[0]) * int64(in.I[2]+in.I[3]) * int64(context)
}})

func init() { opAttention.grad = attentionGrad }

func attentionRef(s *step, in *Instr) {
	a := newAttention(s, in)
	for seq := range s.batch.SeqLen {
		first, end := int(s.batch.RowStart[seq]), int(s.batch.RowStart[seq+1])
		for t := first; t < end; t++ {
			q, y := s.row(in.In[0], t), s.row(in.Out[0], t)
			for h := range int(in.I[0]) {
				lse := a.head(y[h*a.dv:][:a.dv], q[h*a.dk:][:a.dk], seq, t, h)
				if in.Out[1] >= 0 {
					s.row(in.Out[1], t)[h] = lse
				}
			}
		}
	}
}

// attention is one instruction's work on one row and head after another.
type attention struct {
	s      *step
	in     *Instr
	dk, dv int
	sinks  []float32
	kv     KVType
	q      []float32
	key    []float32
	value  [spanKeys][]float32
}

// spanKeys is how many keys one step of the softmax takes.
const spanKeys = 64

func newAttention(s *step, in *Instr) *attention {
	a := &attention{
		s: s, in: in, dk: int(in.I[2]), dv: int(in.I[3]),
		sinks: s.vector(in.In[3]), kv: kvTypeOf(s.operands[in.In[1]].DType),
	}
	a.q, a.key = make([]float32, a.dk), make([]float32, a.dk)
	for j := range a.value {
		a.value[j] = make([]float32, a.dv)
	}
	return a
}

// head writes query head h of row t to y [Dv] and returns the logarithm of the sum of
// exp(s_j), and of the sink's.
func (a *attention) head(y, q []float32, seq, t, h int) (lse float32) {
	lo, hi := a.visible(seq, t)
	m, l := float32(math.Inf(-1)), float32(0)
	if a.sinks != nil {
		m, l = a.sinks[h], 1
	}
	clear(y)
	for d, v := range q {
		a.q[d] = a.factor(v)
	}
	table := a.s.batch.Tables[a.s.batch.TableStart[seq]:]
	for at := lo / spanKeys * spanKeys; at <= hi; at += spanKeys {
		m, l = a.span(y, table, h, max(lo, at), min(hi, at+spanKeys-1), m, l)
	}
	for d := range y {
		y[d] /= l
	}
	return m + float32(math.Log(float64(l)))
}

// visible returns the first and the last key that row t sees.
func (a *attention) visible(seq, t int) (lo, hi int) {
	p := int(a.s.batch.Positions[t])
	hi = p
	if a.in.I[5] == 0 {
		hi = int(a.s.batch.SeqLen[seq]) - 1
	}
	if window := int(a.in.I[4]); window > 0 {
		lo = max(0, p-window+1)
	}
	return lo, hi
}

// factor is what v counts in a product: rounded to bf16 where the cache is.
func (a *attention) factor(v float32) float32 {
	if a.kv == KVBF16 {
		return quant.BF16ToF32(quant.F32ToBF16(v))
	}
	return v
}

// span adds keys first ... last and returns the new maximum and total.
func (a *attention) span(y []float32, table []int32, h, first, last int, m, l float32) (float32, float32) {
	var scores [spanKeys]float32
	top := m
	for j := first; j <= last; j++ {
		scores[j-first] = a.score(table, h, j, a.value[j-first])
		top = max(top, scores[j-first])
	}
	c := exp(m - top)
	var total float32
	for d := range y {
		y[d] *= c
	}
	for j, s := range scores[:last-first+1] {
		p := exp(s - top)
		total += p
		p = a.factor(p)
		for d, v := range a.value[j] {
			y[d] += float32(p * v)
		}
	}
	return top, float32(l*c) + total
}

// score returns the score of key j and loads its value.
func (a *attention) score(table []int32, h, j int, value []float32) float32 {
	head, block := h/int(a.in.I[0]/a.in.I[1]), int(table[j/BlockTokens])
	keys := headOf(a.s, a.in.In[1], block, head, a.kv.headBytes(a.dk))
	values := headOf(a.s, a.in.In[2], block, head, a.kv.headBytes(a.dv))
	a.kv.load(a.key, keys, keyLayout(a.dk), j%BlockTokens)
	a.kv.load(value, values, valueLayout(a.dv), j%BlockTokens)
	var s float32
	for d, v := range a.q {
		s += float32(v * a.key[d])
	}
	s *= a.in.F[0]
	if a.in.F[1] != 0 {
		s = softcap(s, a.in.F[1])
	}
	return s
}

func headOf(s *step, cache int32, block, head, size int) []byte {
	return s.raw(cache, block)[head*size:][:size]
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

// AttentionArgs are the shape and the kind of an attention.
type AttentionArgs struct {
	Heads, KVHeads int
	KDim, VDim     int     // of a head
	Window         int     // keys that a token sees, itself included; 0 for all
	Scale, Softcap float32 // Softcap 0 for none
	Sinks          Tensor  // [Heads] or absent: a logit beside the keys' that takes no value
	Bidirectional  bool    // every token sees every key of its sequence
}

// Attention stores k [T, KVHeads*KDim] and v [T, KVHeads*VDim] in the cache of layer,
// which it makes, and returns the attention of q [T, Heads*KDim] over it,
// [T, Heads*VDim]. Layers come in order from 0.
func (b *Builder) Attention(layer int, q, k, v Value, a AttentionArgs) Value {
	if layer != len(b.p.Layers) || a.KVHeads < 1 || a.Heads%a.KVHeads != 0 {
		misfit("attention: layer %d after %d layers, %d heads of %d KV heads", layer, len(b.p.Layers), a.Heads, a.KVHeads)
	}
	name := fmt.Sprintf("attention of layer %d", layer)
	b.need(name, a.Heads*a.KDim, q)
	b.need(name, a.KVHeads*a.KDim, k)
	b.need(name, a.KVHeads*a.VDim, v)
	for _, x := range []Value{q, k, v} {
		if b.at(x).Per != PerToken || b.at(x).Rows != 1 {
			misfit("%s: %s has not one row per token", name, b.p.shape(int32(x)))
		}
	}
	keys, values := b.cache(layer, a)
	b.emit(opStoreKV, Instr{
		Out: results(), In: reads(k, v, keys, values),
		I: [8]int32{int32(a.KVHeads), int32(a.KDim), int32(a.VDim)},
	})
	causal := int32(1)
	if a.Bidirectional {
		causal = 0
	}
	y := b.like(q, a.Heads*a.VDim)
	out := results(y)
	if b.grads != nil {
		out = results(y, b.like(q, a.Heads))
	}
	b.emit(opAttention, Instr{
		Out: out, In: reads(q, keys, values, b.vector(name, a.Sinks, a.Heads)),
		I: [8]int32{int32(a.Heads), int32(a.KVHeads), int32(a.KDim), int32(a.VDim), int32(a.Window), causal},
		F: [4]float32{a.Scale, a.Softcap},
	})
	return y
}

func (b *Builder) cache(layer int, a AttentionArgs) (keys, values Value) {
	b.p.Layers = append(b.p.Layers, KVLayout{a.KVHeads, a.KDim, a.VDim, b.kv})
	of := func(kind Kind, dims int) Value {
		return b.add(Operand{
			Kind: kind, DType: kvTypes[b.kv].dtype, Rows: 1, Cols: a.KVHeads * dims * BlockTokens, From: layer,
		})
	}
	return of(KeyCache, a.KDim), of(ValueCache, a.VDim)
}
