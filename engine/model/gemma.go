package model

import (
	"math"

	"github.com/ingot-llm/ingot/kernels"
)

// Gemma 2 (Gemma Team 2024): four norms a layer, soft caps on attention and logits,
// every second layer within a window. The norms' "1 + w" is in the file's weights.
func gemma2(b *builder) kernels.Value { return gemma(b, b.rotate) }

// Gemma 3 (Gemma Team 2025): queries and keys normalised per head instead of the caps,
// five layers within a window for each that sees all, each kind with its rotary base.
func gemma3(b *builder) kernels.Value {
	return gemma(b, func(l int, q, k kernels.Value) (kernels.Value, kernels.Value) {
		p := b.Layer(l)
		return b.rotate(l, b.headNorm(q, p, "attn_q_norm"), b.headNorm(k, p, "attn_k_norm"))
	})
}

func gemma(b *builder, rotate func(l int, q, k kernels.Value) (kernels.Value, kernels.Value)) kernels.Value {
	x := b.Embed(b.W("token_embd"), float32(math.Sqrt(float64(b.Dim))))
	for l := range b.Layers {
		p := b.Layer(l)
		q, k, v := b.qkv(b.rmsNorm(x, p, "attn_norm"), p)
		q, k = rotate(l, q, k)
		a := b.linear(b.attend(l, q, k, v), p, "attn_output")
		x = b.Add(x, b.rmsNorm(a, p, "post_attention_norm"), 1)
		f := b.feedForward(b.rmsNorm(x, p, "ffn_norm"), p)
		x = b.Add(x, b.rmsNorm(f, p, "post_ffw_norm"), 1)
	}
	return b.logits(b.RMSNorm(b.Rows(x), b.W("output_norm"), 0, b.Eps))
}
