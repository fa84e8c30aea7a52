package model

import "github.com/ingot-llm/ingot/kernels"

// Llama 1 to 3 (Touvron et al. 2023), and what shares its diagram: Mistral with its
// window, Mixtral with experts, Qwen 2 with biases on q, k and v, SmolLM3 with layers
// that have no rotary embedding. Grouped-query attention: Ainslie et al. 2023.
func llama(b *builder) kernels.Value {
	x := b.Embed(b.W("token_embd"), 1)
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(b.rmsNorm(x, p, "attn_norm"), p)
		q, k = b.rotate(l, q, k)
		x = b.Add(x, b.linear(b.attend(l, q, k, v), p, "attn_output"), 1)
		x = b.Add(x, b.feedForward(b.rmsNorm(x, p, "ffn_norm"), p), 1)
	}
	return b.logits(b.RMSNorm(b.Rows(x), b.W("output_norm"), 0, b.Eps))
}
