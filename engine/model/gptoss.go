package model

import "github.com/ingot-llm/ingot/kernels"

// gpt-oss (OpenAI 2025): biases everywhere, a learned sink logit per head, every second
// layer within a window, experts with a clamped SwiGLU.
func gptOSS(b *builder) kernels.Value {
	b.Activation = kernels.SwiGLUClamped
	x := b.Embed(b.W("token_embd"), 1)
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(b.rmsNorm(x, p, "attn_norm"), p)
		q, k = b.rotate(l, q, k)
		args := b.attention(l)
		args.Sinks = p.W("attn_sinks")
		x = b.Add(x, b.linear(b.Attention(l, q, k, v, args), p, "attn_output"), 1)
		x = b.Add(x, b.experts(b.rmsNorm(x, p, "post_attention_norm"), p), 1)
	}
	return b.logits(b.RMSNorm(b.Rows(x), b.W("output_norm"), 0, b.Eps))
}

// The clamped SwiGLU of gpt-oss: g sigmoid(1.702 g) (u + 1) with g <= 7, -7 <= u <= 7.
const (
	clampAlpha = 1.702
	clampLimit = 7
)
