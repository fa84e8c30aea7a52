package hf

import (
	"math"

	"github.com/ingot-llm/ingot/quant"
)

// Metadata keys of our own: GGUF keeps Llama 3's scaling only as the factors that
// follow from it, and rounds YaRN's ramp to whole dimensions always.
const (
	llama3Prefix = "ingot.rope.llama3."
	truncateKey  = "ingot.rope.yarn_truncate"
)

// maxHead bounds the size of a head, far above any model's.
const maxHead = 1 << 16

// llama3Fields are Llama 3's settings, under the same name in both vocabularies.
var llama3Fields = []string{"factor", "low_freq_factor", "high_freq_factor"}

// Names of the tensors that divide the rotary angles.
const (
	freqsName = "rope_freqs.weight"
	longName  = "rope_factors_long.weight"
	shortName = "rope_factors_short.weight"
)

// rope is what config.json says of the rotary embedding, in either of its forms.
type rope struct {
	*config // of the scaling
	kind    string
	theta   float64
	local   float64 // theta of the layers with a window, 0 = theta
	partial float64 // share of each head that turns
}

// readRope reads rope_parameters (transformers 5: one object, or one for each kind of
// layer), or rope_theta, rope_scaling and their older names.
func (f *family) readRope(c *config) rope {
	r := rope{config: c.sub("rope_parameters"), theta: f.theta}
	if full := r.sub("full_attention"); len(full.fields) > 0 {
		sliding := r.sub("sliding_attention")
		if k := sliding.text("rope_type", "default"); k != "default" {
			c.fail("rope_parameters.sliding_attention.rope_type is %q, which is not supported (supported: default)", k)
		}
		r.local = sliding.number("rope_theta", 10000)
		r.config = full
	}
	if !c.has("rope_parameters") {
		r.config = c.sub("rope_scaling")
		r.theta = c.number("rope_theta", c.number("rotary_emb_base", f.theta))
		if f.arch == "gemma3" {
			r.local = c.number("rope_local_base_freq", 10000)
		}
	}
	r.theta = r.number("rope_theta", r.theta)
	r.partial = r.number("partial_rotary_factor", c.number("partial_rotary_factor", c.number("rotary_pct", f.partial())))
	r.kind = r.text("rope_type", r.text("type", "default"))
	return r
}

// partial is the default share of each head that turns.
func (f *family) partial() float64 {
	if f.modelType == "gpt_neox" {
		return 0.25
	}
	return 1
}

// put puts the rotary embedding into the metadata and returns the literal tensors
// that go with it.
func (r rope) put(c *config, f *family, m *quant.Meta) map[string][]float32 {
	if f.theta == 0 {
		return nil
	}
	heads := m.Int(f.arch+".attention.head_count", 0)
	if heads == 0 {
		return nil
	}
	head := m.Int(f.arch+".attention.key_length", m.Int(f.arch+".embedding_length", 0)/heads)
	dims := int(r.partial * float64(head))
	if r.partial <= 0 || r.partial > 1 || r.theta <= 0 || head > maxHead {
		c.fail("the rotary embedding has theta %v on a share of %v of heads of size %d, which is out of range", r.theta, r.partial, head)
		return nil
	}
	m.Set(f.arch+".rope.dimension_count", uint32(dims))
	m.Set(f.arch+".rope.freq_base", float32(r.theta))
	if r.local != 0 {
		m.Set(f.arch+".rope.freq_base_swa", float32(r.local))
	}
	tensors := r.scale(c, f.arch, dims, m)
	if c.err == nil {
		c.err = r.err
	}
	return tensors
}

func (r rope) scale(c *config, arch string, dims int, m *quant.Meta) map[string][]float32 {
	trained := m.Int(arch+".context_length", 0)
	original := r.count("original_max_position_embeddings", c.count("original_max_position_embeddings", 0))
	prefix := arch + ".rope.scaling."
	if original != 0 {
		m.Set(prefix+"original_context_length", uint32(original))
	}
	switch r.kind {
	case "default":
	case "linear":
		m.Set(prefix+"type", "linear")
		m.Set(prefix+"factor", float32(r.need("factor")))
	case "yarn":
		r.yarn(prefix, trained, original, m)
	case "llama3":
		for _, field := range llama3Fields {
			m.Set(llama3Prefix+field, float32(r.need(field)))
		}
		r.need("original_max_position_embeddings")
		return map[string][]float32{freqsName: llama3(m, arch, dims)}
	case "longrope", "su":
		return r.longRope(prefix, dims, trained, original, m)
	default:
		r.fail("rope_type is %q, which is not supported (supported: default, linear, yarn, llama3, longrope)", r.kind)
	}
	return nil
}

// need returns a number that must be there and positive.
func (r rope) need(field string) float64 {
	v := r.number(field, 0)
	if v <= 0 {
		r.fail("%s is %v, want a positive number", field, r.fields[field])
		return 1
	}
	return v
}

// yarn writes YaRN's settings (Peng et al. 2023). The factor on cos and sin is
// 1 + 0.1 ln(factor) unless the config states one; GGUF has the quotient of the two.
func (r rope) yarn(prefix string, trained, original int, m *quant.Meta) {
	factor := r.need("factor")
	m.Set(prefix+"type", "yarn")
	m.Set(prefix+"factor", float32(factor))
	if original == 0 {
		m.Set(prefix+"original_context_length", uint32(trained))
	}
	m.Set(prefix+"yarn_beta_fast", float32(r.number("beta_fast", 32)))
	m.Set(prefix+"yarn_beta_slow", float32(r.number("beta_slow", 1)))
	m.Set(truncateKey, r.flag("truncate", true))
	if a := r.number("attention_factor", 0); a != 0 {
		m.Set(prefix+"yarn_attn_factor", float32(a/(1+0.1*math.Log(factor))))
	}
	for _, field := range []string{"mscale", "mscale_all_dim"} {
		if r.has(field) {
			r.fail("%s is not supported with yarn", field)
		}
	}
}

// longRope writes LongRoPE's settings (Ding et al. 2024), its factor on cos and sin
// as transformers computes it.
func (r rope) longRope(prefix string, dims, trained, original int, m *quant.Meta) map[string][]float32 {
	if original == 0 {
		original = trained
		m.Set(prefix+"original_context_length", uint32(original))
	}
	long, short := floats(r.numbers("long_factor")), floats(r.numbers("short_factor"))
	if len(long) != dims/2 || len(short) != dims/2 {
		r.fail("long_factor and short_factor have %d and %d numbers, want %d", len(long), len(short), dims/2)
		return nil
	}
	extension := float64(trained) / float64(max(original, 1))
	if r.has("factor") {
		extension = r.need("factor")
	}
	attention := 1.0
	if extension > 1 {
		attention = math.Sqrt(1 + math.Log(extension)/math.Log(float64(original)))
	}
	m.Set(prefix+"type", "longrope")
	m.Set(prefix+"attn_factor", float32(r.number("attention_factor", attention)))
	return map[string][]float32{longName: long, shortName: short}
}

// llama3 returns the divisors of the rotary angles that Llama 3.1 scales by: 1 for
// wavelengths below original/high, factor above original/low, between them such that
// the angle goes over linearly.
func llama3(m *quant.Meta, arch string, dims int) []float32 {
	base := m.Float(arch+".rope.freq_base", 10000)
	original := m.Float(arch+".rope.scaling.original_context_length", 8192)
	factor, low, high := m.Float(llama3Prefix+"factor", 8), m.Float(llama3Prefix+"low_freq_factor", 1), m.Float(llama3Prefix+"high_freq_factor", 4)
	out := make([]float32, dims/2)
	for i := range out {
		wave := 2 * math.Pi * math.Pow(base, 2*float64(i)/float64(dims))
		switch {
		case wave < original/high:
			out[i] = 1
		case wave > original/low:
			out[i] = float32(factor)
		default:
			smooth := (original/wave - low) / (high - low)
			out[i] = float32(1 / ((1-smooth)/factor + smooth))
		}
	}
	return out
}

func floats(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, f := range v {
		out[i] = float32(f)
	}
	return out
}
