package model

import "github.com/ingot-llm/ingot/kernels"

// GPT-2 (Radford et al. 2019): learned positions, LayerNorm before each sublayer, a
// feed-forward without gate.
func gpt2(b *builder) kernels.Value {
	x := b.Add(b.Embed(b.W("token_embd"), 1), b.EmbedPositions(b.W("position_embd")), 1)
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(b.layerNorm(x, p, "attn_norm"), p)
		x = b.Add(x, b.linear(b.attend(l, q, k, v), p, "attn_output"), 1)
		x = b.Add(x, b.mlp(b.layerNorm(x, p, "ffn_norm"), p), 1)
	}
	return b.logits(b.LayerNorm(b.Rows(x), b.W("output_norm"), b.B("output_norm"), b.Eps))
}
