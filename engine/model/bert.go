package model

import "github.com/ingot-llm/ingot/kernels"

// BERT (Devlin et al. 2018): an encoder; every token sees every token, norms follow the
// residual sums. The output is the hidden states, or their pooled form.
func bert(b *builder) kernels.Value {
	x := b.Add(b.Embed(b.W("token_embd"), 1), b.EmbedPositions(b.W("position_embd")), 1)
	if b.Has("token_types") {
		x = b.Add(x, b.EmbedRow0(b.W("token_types")), 1)
	}
	x = b.LayerNorm(x, b.W("token_embd_norm"), b.B("token_embd_norm"), b.Eps)
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(x, p)
		x = b.layerNorm(b.Add(x, b.linear(b.attend(l, q, k, v), p, "attn_output"), 1), p, "attn_output_norm")
		x = b.layerNorm(b.Add(x, b.mlp(x, p), 1), p, "layer_output_norm")
	}
	return b.outputs(x, func(x kernels.Value) kernels.Value {
		if b.Pooling == PoolNone {
			return x
		}
		return b.Pool(x, poolKinds[b.Pooling])
	})
}

var poolKinds = [...]kernels.PoolKind{PoolMean: kernels.PoolMean, PoolFirst: kernels.PoolFirst, PoolLast: kernels.PoolLast}
