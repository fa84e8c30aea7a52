package model

import "github.com/ingot-llm/ingot/kernels"

// OLMo 2 (Walsh et al. 2024): norms after the sublayers, inside the residual branch, and
// on the whole of q and of k.
func olmo2(b *builder) kernels.Value {
	x := b.Embed(b.W("token_embd"), 1)
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(x, p)
		q, k = b.rotate(l, b.rmsNorm(q, p, "attn_q_norm"), b.rmsNorm(k, p, "attn_k_norm"))
		a := b.linear(b.attend(l, q, k, v), p, "attn_output")
		x = b.Add(x, b.rmsNorm(a, p, "post_attention_norm"), 1)
		x = b.Add(x, b.rmsNorm(b.feedForward(x, p), p, "post_ffw_norm"), 1)
	}
	return b.logits(b.RMSNorm(b.Rows(x), b.W("output_norm"), 0, b.Eps))
}
