package model

import (
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/kernels"
)

// Rope says how positions turn queries and keys (Su et al. 2021).
type Rope struct {
	Dims      int            // of each head that turn
	Layout    kernels.Layout // which pairs turn together in the weights' rows
	Base      float64        // theta
	BaseLocal float64        // theta of the layers with a window (Gemma 3), 0 = Base
	Scaling   string         // "", "linear", "yarn", "longrope"
	Factor    float64        // context extension of linear and yarn
	Original  int            // context before the extension
	// YaRN's ramp between kept and interpolated dimensions (Peng et al. 2023, 3.2), in
	// turns over the original context; Truncate rounds its ends to whole dimensions.
	BetaFast, BetaSlow float64
	Truncate           bool
	// Attention multiplies cos and sin, beside what the scaling's paper says.
	Attention float64
}

// readRope reads the rotary embedding's numbers; the family says which pairs GGUF's rows
// of q and k turn together, and a source straight from Hugging Face's files says otherwise.
func readRope(k *keys, c *Config, f *Family) Rope {
	r := Rope{
		Dims:      k.optional("rope.dimension_count", c.KDim, c.KDim),
		Base:      float64(k.float("rope.freq_base", 10000)),
		Layout:    f.Layout,
		BaseLocal: float64(k.float("rope.freq_base_swa", f.LocalBase)),
		Scaling:   k.m.String(k.prefix+"rope.scaling.type", ""),
		Factor:    float64(k.float("rope.scaling.factor", 1)),
		Original:  k.optional("rope.scaling.original_context_length", c.Context, 1<<30),
		BetaFast:  float64(k.float("rope.scaling.yarn_beta_fast", 32)),
		BetaSlow:  float64(k.float("rope.scaling.yarn_beta_slow", 1)),
		Truncate:  k.m.Bool("ingot.rope.yarn_truncate", true),
		Attention: float64(k.float("rope.scaling.attn_factor", k.float("rope.scaling.yarn_attn_factor", 1))),
	}
	if k.m.String("ingot.rope.layout", "") == "half" {
		r.Layout = kernels.RopeHalf
	}
	switch r.Scaling {
	case "none":
		r.Scaling = ""
	case "", "linear", "yarn", "longrope":
	default:
		k.fail(fmt.Errorf("%srope.scaling.type is %q, want none, linear, yarn or longrope", k.prefix, r.Scaling))
	}
	return r
}

// inverse returns the angles per position [Dims/2] of a rotary embedding with the given
// base, and the factor on cos and sin. factors [Dims/2] divides each angle (the
// rope_freqs tensor of Llama 3.1, the long or short factors of LongRoPE); nil = none.
func (r Rope) inverse(base float64, factors []float32) ([]float32, float32) {
	inv := make([]float64, r.Dims/2)
	for i := range inv {
		inv[i] = math.Pow(base, -2*float64(i)/float64(r.Dims))
		if factors != nil {
			inv[i] /= float64(factors[i])
		}
	}
	mscale := r.Attention
	switch r.Scaling {
	case "linear":
		for i := range inv {
			inv[i] /= r.Factor
		}
	case "yarn":
		r.yarn(base, inv)
		mscale *= 1 + 0.1*math.Log(r.Factor)
	}
	out := make([]float32, len(inv))
	for i := range inv {
		out[i] = float32(inv[i])
	}
	return out, float32(mscale)
}

// yarn interpolates the slow dimensions and keeps the fast ones, with a linear ramp
// between them (Peng et al. 2023, equation 23).
func (r Rope) yarn(base float64, inv []float64) {
	dimension := func(turns float64) float64 {
		return float64(r.Dims) * math.Log(float64(r.Original)/(turns*2*math.Pi)) / (2 * math.Log(base))
	}
	low, high := dimension(r.BetaFast), dimension(r.BetaSlow)
	if r.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(r.Dims-1))
	if low == high {
		high += 0.001 // as the reference code does, so that the ramp has a slope
	}
	for i := range inv {
		ramp := min(max((float64(i)-low)/(high-low), 0), 1)
		inv[i] = inv[i]*(1-ramp) + inv[i]/r.Factor*ramp
	}
}
