package model

import (
	"fmt"

	"github.com/ingot-llm/ingot/kernels"
)

// builder is what a family writes its diagram with: the operations, the numbers and the
// weights. Shapes: T tokens, D width, H heads, R rows whose logits are wanted.
type builder struct {
	*kernels.Builder
	Config
	*Weights
	options Options
}

// Layer returns the weights of layer l, which begins here.
func (b *builder) Layer(l int) Layer {
	b.Builder.Layer()
	return b.Weights.Layer(l)
}

// linear is y = W x + bias, the bias if the file has one.
func (b *builder) linear(x kernels.Value, p Layer, name string) kernels.Value {
	return b.Linear(x, p.W(name), p.B(name))
}

// qkv projects x [T, D] to queries, keys and values, from three matrices or from one
// that holds them one after another.
func (b *builder) qkv(x kernels.Value, p Layer) (q, k, v kernels.Value) {
	nq, nk, nv := b.Heads*b.KDim, b.KVHeads*b.KDim, b.KVHeads*b.VDim
	if !p.Has("attn_qkv") {
		return b.project(x, p, "attn_q", nq), b.project(x, p, "attn_k", nk), b.project(x, p, "attn_v", nv)
	}
	all := b.project(x, p, "attn_qkv", nq+nk+nv)
	return b.View(all, 0, nq), b.View(all, nq, nk), b.View(all, nq+nk, nv)
}

// project is linear with as many outputs as the metadata's heads need.
func (b *builder) project(x kernels.Value, p Layer, name string, outputs int) kernels.Value {
	if w := p.W(name); w.Rows() != outputs {
		panic(unfit{fmt.Errorf("%s has %d rows, but %d heads of %d, with %d of keys and values, need %d", w.Name, w.Rows(), b.Heads, b.KDim, b.KVHeads, outputs)})
	}
	return b.linear(x, p, name)
}

// rotate turns queries and keys by their positions, unless layer l has none.
func (b *builder) rotate(l int, q, k kernels.Value) (kernels.Value, kernels.Value) {
	if b.SkipPos[l] {
		return q, k
	}
	base := b.Rope.Base
	r := b.Rope
	if b.Window[l] > 0 && r.BaseLocal > 0 {
		base, r.Scaling = r.BaseLocal, "" // local layers never see the extended context
	}
	table := b.RopeTable(r.inverse(base, b.ropeFactors()))
	return b.RoPE(q, table, b.Heads, b.KDim, r.Layout), b.RoPE(k, table, b.KVHeads, b.KDim, r.Layout)
}

// ropeFactors returns the file's divisors of the rotary frequencies, or nil.
func (b *builder) ropeFactors() []float32 {
	name := "rope_freqs.weight"
	if b.Rope.Scaling == "longrope" {
		name = "rope_factors_short.weight"
		if b.options.Context > b.Rope.Original {
			name = "rope_factors_long.weight"
		}
	}
	f := b.floats(name)
	if f != nil && len(f) != b.Rope.Dims/2 {
		panic(unfit{fmt.Errorf("%s has %d elements, want %d (half the rotary dimensions)", name, len(f), b.Rope.Dims/2)})
	}
	return f
}

// attend is softmax(q k') v over the paged cache, [T, H*VDim].
func (b *builder) attend(l int, q, k, v kernels.Value) kernels.Value {
	return b.Attention(l, q, k, v, b.attention(l))
}

func (b *builder) attention(l int) kernels.AttentionArgs {
	return kernels.AttentionArgs{
		Heads: b.Heads, KVHeads: b.KVHeads, KDim: b.KDim, VDim: b.VDim,
		Window: b.Window[l], Scale: b.AttnScale, Softcap: b.AttnSoftcap, Bidirectional: b.Bidirectional,
	}
}

// feedForward is the gated feed-forward (Shazeer 2020), or the mixture of experts where
// the layer has a router.
func (b *builder) feedForward(x kernels.Value, p Layer) kernels.Value {
	if p.Has("ffn_gate_inp") {
		return b.experts(x, p)
	}
	gate, up := b.linear(x, p, "ffn_gate"), b.linear(x, p, "ffn_up")
	return b.linear(b.GLU(b.Activation, gate, up, 0, 0), p, "ffn_down")
}

// experts sends each token to its ExpertsUsed best experts and sums their outputs by the
// router's weights (Shazeer et al. 2017).
func (b *builder) experts(x kernels.Value, p Layer) kernels.Value {
	ids, weights := b.Route(b.linear(x, p, "ffn_gate_inp"), b.ExpertsUsed, b.RenormExperts, 1)
	gate := b.ExpertLinear(x, ids, p.W("ffn_gate_exps"), p.B("ffn_gate_exps"))
	up := b.ExpertLinear(x, ids, p.W("ffn_up_exps"), p.B("ffn_up_exps"))
	h := b.GLU(b.Activation, gate, up, clampAlpha, clampLimit)
	return b.Combine(b.ExpertLinear(h, ids, p.W("ffn_down_exps"), p.B("ffn_down_exps")), weights)
}

// mlp is the feed-forward without a gate: two matrices and an activation.
func (b *builder) mlp(x kernels.Value, p Layer) kernels.Value {
	return b.linear(b.Act1(b.linear(x, p, "ffn_up")), p, "ffn_down")
}

// Act1 applies the family's activation.
func (b *builder) Act1(x kernels.Value) kernels.Value { return b.Builder.Act(x, b.Activation) }

// rmsNorm normalises whole rows by the layer's weight.
func (b *builder) rmsNorm(x kernels.Value, p Layer, name string) kernels.Value {
	return b.RMSNorm(x, p.W(name), 0, b.Eps)
}

// headNorm normalises each head of x apart (q and k norm of Qwen 3 and Gemma 3).
func (b *builder) headNorm(x kernels.Value, p Layer, name string) kernels.Value {
	return b.RMSNorm(x, p.W(name), b.KDim, b.Eps)
}

// layerNorm normalises whole rows with weight and bias (Ba et al. 2016).
func (b *builder) layerNorm(x kernels.Value, p Layer, name string) kernels.Value {
	return b.LayerNorm(x, p.W(name), p.B(name), b.Eps)
}

// logits turns normalised hidden states [R, D] into logits [R, V], of a program that
// trains into their loss. The output matrix is the embedding where the file has no other.
// A classifier's labels replace the tokens.
func (b *builder) logits(h kernels.Value) kernels.Value {
	if b.Trains() && b.options.Train.Upstream == nil {
		return b.Loss(h, b.head)
	}
	return b.outputs(h, b.head)
}

// outputs ends a program with f(h), and where it trains with the gradients of a loss of that.
func (b *builder) outputs(h kernels.Value, f func(h kernels.Value) kernels.Value) kernels.Value {
	if b.Trains() {
		return b.Backward(h, f)
	}
	return f(h)
}

func (b *builder) head(h kernels.Value) kernels.Value {
	if b.Has("cls.output") {
		return b.Linear(h, b.Weights.W("cls.output"), b.Weights.B("cls.output"))
	}
	out := b.Weights.W("token_embd")
	if b.Has("output") {
		out = b.Weights.W("output")
	}
	y := b.Linear(h, out, b.Weights.B("output"))
	if b.LogitScale != 1 {
		y = b.Scale(y, 1/b.LogitScale)
	}
	if b.OutSoftcap != 0 {
		y = b.Softcap(y, b.OutSoftcap)
	}
	return y
}
