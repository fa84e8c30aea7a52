package bench

import (
	"fmt"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// shape is the size of a published model, of which speed depends on nothing else.
type shape struct {
	name, arch                  string
	layers, dim, ff             int
	heads, kvHeads, headDim     int
	vocab, context              int
	ropeBase                    float32
	tied                        bool
	experts, expertsUsed, expFF int // 0 in a dense model
}

// shapes are the models' config.json figures.
var shapes = []shape{
	{name: "llama-15m", arch: "llama", layers: 6, dim: 288, ff: 768, heads: 6, kvHeads: 6, headDim: 48, vocab: 32000, context: 256, ropeBase: 1e4, tied: true},
	{name: "smol-135m", arch: "llama", layers: 30, dim: 576, ff: 1536, heads: 9, kvHeads: 3, headDim: 64, vocab: 49152, context: 8192, ropeBase: 1e5, tied: true},
	{name: "qwen3-0.6b", arch: "qwen3", layers: 28, dim: 1024, ff: 3072, heads: 16, kvHeads: 8, headDim: 128, vocab: 151936, context: 40960, ropeBase: 1e6, tied: true},
	{name: "llama-1b", arch: "llama", layers: 16, dim: 2048, ff: 8192, heads: 32, kvHeads: 8, headDim: 64, vocab: 128256, context: 131072, ropeBase: 5e5, tied: true},
	{name: "qwen2-1.5b", arch: "qwen2", layers: 28, dim: 1536, ff: 8960, heads: 12, kvHeads: 2, headDim: 128, vocab: 151936, context: 32768, ropeBase: 1e6, tied: true},
	{name: "llama-3b", arch: "llama", layers: 28, dim: 3072, ff: 8192, heads: 24, kvHeads: 8, headDim: 128, vocab: 128256, context: 131072, ropeBase: 5e5, tied: true},
	{name: "llama-8b", arch: "llama", layers: 32, dim: 4096, ff: 14336, heads: 32, kvHeads: 8, headDim: 128, vocab: 128256, context: 131072, ropeBase: 5e5},
	{name: "qwen3-30b-a3b", arch: "qwen3moe", layers: 48, dim: 2048, ff: 6144, heads: 32, kvHeads: 4, headDim: 128, vocab: 151936, context: 40960, ropeBase: 1e6, experts: 128, expertsUsed: 8, expFF: 768},
}

// shapeNames lists the shapes, smallest first.
func shapeNames() string {
	var names []string
	for _, s := range shapes {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

func findShape(name string) (shape, error) {
	for _, s := range shapes {
		if s.name == name {
			return s, nil
		}
	}
	return shape{}, fmt.Errorf("unknown shape %q: known are %s", name, shapeNames())
}

// meta returns the metadata that the architecture reads.
func (s *shape) meta(m quant.Mix) *quant.Meta {
	out := &quant.Meta{}
	out.Set("general.architecture", s.arch)
	out.Set("general.name", s.name)
	out.Set("general.file_type", m.FileType)
	for key, n := range map[string]int{
		"block_count": s.layers, "embedding_length": s.dim, "feed_forward_length": s.ff, "context_length": s.context,
		"attention.head_count": s.heads, "attention.head_count_kv": s.kvHeads, "attention.key_length": s.headDim,
		"attention.value_length": s.headDim, "rope.dimension_count": s.headDim, "expert_count": s.experts, "expert_used_count": s.expertsUsed,
	} {
		out.Set(s.arch+"."+key, uint32(n))
	}
	out.Set(s.arch+".rope.freq_base", s.ropeBase)
	out.Set(s.arch+".attention.layer_norm_rms_epsilon", float32(1e-5))
	return out
}

// tensors lists the model's tensors with their types in the mix m.
func (s *shape) tensors(m quant.Mix) []quant.Tensor {
	var out []quant.Tensor
	add := func(name string, shape ...int) {
		facts := quant.TensorFacts{Name: name, Shape: shape, Layers: s.layers, Experts: s.experts, GQA: s.heads / s.kvHeads, Tied: s.tied}
		out = append(out, quant.Tensor{Name: name, DType: m.TypeFor(facts), Shape: shape})
	}
	add("token_embd.weight", s.vocab, s.dim)
	for l := range s.layers {
		s.block(func(name string, shape ...int) { add(fmt.Sprintf("blk.%d.%s", l, name), shape...) })
	}
	add("output_norm.weight", s.dim)
	if !s.tied {
		add("output.weight", s.vocab, s.dim)
	}
	return out
}

// block adds the tensors of one layer.
func (s *shape) block(add func(name string, shape ...int)) {
	q, kv := s.heads*s.headDim, s.kvHeads*s.headDim
	add("attn_norm.weight", s.dim)
	add("attn_q.weight", q, s.dim)
	add("attn_k.weight", kv, s.dim)
	add("attn_v.weight", kv, s.dim)
	add("attn_output.weight", s.dim, q)
	switch s.arch {
	case "qwen2":
		add("attn_q.bias", q)
		add("attn_k.bias", kv)
		add("attn_v.bias", kv)
	case "qwen3", "qwen3moe":
		add("attn_q_norm.weight", s.headDim)
		add("attn_k_norm.weight", s.headDim)
	}
	add("ffn_norm.weight", s.dim)
	if s.experts > 0 {
		add("ffn_gate_inp.weight", s.experts, s.dim)
		add("ffn_gate_exps.weight", s.experts, s.expFF, s.dim)
		add("ffn_up_exps.weight", s.experts, s.expFF, s.dim)
		add("ffn_down_exps.weight", s.experts, s.dim, s.expFF)
		return
	}
	add("ffn_gate.weight", s.ff, s.dim)
	add("ffn_up.weight", s.ff, s.dim)
	add("ffn_down.weight", s.dim, s.ff)
}
