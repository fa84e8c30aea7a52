package model

import "github.com/ingot-llm/ingot/kernels"

// Phi 3 (Abdin et al. 2024): Llama with q, k, v in one matrix and gate and up in another.
func phi3(b *builder) kernels.Value {
	x := b.Embed(b.W("token_embd"), 1)
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(b.rmsNorm(x, p, "attn_norm"), p)
		q, k = b.rotate(l, q, k)
		x = b.Add(x, b.linear(b.attend(l, q, k, v), p, "attn_output"), 1)
		both := b.linear(b.rmsNorm(x, p, "ffn_norm"), p, "ffn_up")
		width := p.W("ffn_down").Cols()
		h := b.GLU(b.Activation, b.View(both, 0, width), b.View(both, width, width), 0, 0)
		x = b.Add(x, b.linear(h, p, "ffn_down"), 1)
	}
	return b.logits(b.RMSNorm(b.Rows(x), b.W("output_norm"), 0, b.Eps))
}
