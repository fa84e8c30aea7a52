package model

import "github.com/ingot-llm/ingot/kernels"

// Granite 3 (IBM 2024): Llama with multipliers on the embedding, the attention, the
// residuals and the logits (muP: Yang et al. 2022).
func granite(b *builder) kernels.Value {
	x := b.Embed(b.W("token_embd"), b.EmbedScale)
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(b.rmsNorm(x, p, "attn_norm"), p)
		q, k = b.rotate(l, q, k)
		x = b.Add(x, b.linear(b.attend(l, q, k, v), p, "attn_output"), b.ResidualScale)
		x = b.Add(x, b.feedForward(b.rmsNorm(x, p, "ffn_norm"), p), b.ResidualScale)
	}
	return b.logits(b.RMSNorm(b.Rows(x), b.W("output_norm"), 0, b.Eps))
}
