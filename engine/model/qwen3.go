package model

import "github.com/ingot-llm/ingot/kernels"

// Qwen 3 and its mixture of experts (Yang et al. 2025): queries and keys are normalised
// per head before they turn.
func qwen3(b *builder) kernels.Value {
	x := b.Embed(b.W("token_embd"), 1)
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(b.rmsNorm(x, p, "attn_norm"), p)
		q, k = b.rotate(l, b.headNorm(q, p, "attn_q_norm"), b.headNorm(k, p, "attn_k_norm"))
		x = b.Add(x, b.linear(b.attend(l, q, k, v), p, "attn_output"), 1)
		x = b.Add(x, b.feedForward(b.rmsNorm(x, p, "ffn_norm"), p), 1)
	}
	return b.logits(b.RMSNorm(b.Rows(x), b.W("output_norm"), 0, b.Eps))
}
