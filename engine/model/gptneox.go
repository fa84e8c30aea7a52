package model

import "github.com/ingot-llm/ingot/kernels"

// GPT-NeoX (Black et al. 2022): attention and feed-forward read the same residual
// stream side by side, and a part of each head turns.
func gptNeoX(b *builder) kernels.Value {
	x := b.Embed(b.W("token_embd"), 1)
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(b.layerNorm(x, p, "attn_norm"), p)
		q, k = b.rotate(l, q, k)
		a := b.Add(x, b.linear(b.attend(l, q, k, v), p, "attn_output"), 1)
		in := a
		if b.Parallel {
			in = x
		}
		x = b.Add(a, b.mlp(b.layerNorm(in, p, "ffn_norm"), p), 1)
	}
	return b.logits(b.LayerNorm(b.Rows(x), b.W("output_norm"), b.B("output_norm"), b.Eps))
}
