package shape

import (
	"fmt"
	"slices"

	"github.com/ingot-llm/ingot/quant"
)

// tensor is a name with its dimensions, outermost first, a letter each: V vocabulary,
// C context, D width, Q all query heads, K all key (or value) heads, H one head, A number
// of heads, F feed-forward, G two of them, P queries, keys and values together, E experts,
// X an expert's feed-forward.
type tensor struct{ name, dims string }

func weight(name, dims string) []tensor { return []tensor{{name + ".weight", dims}} }

// biased is a projection or LayerNorm with a bias per output.
func biased(name, dims string) []tensor {
	return []tensor{{name + ".weight", dims}, {name + ".bias", dims[:1]}}
}

func join(lists ...[]tensor) []tensor { return slices.Concat(lists...) }

var (
	qkv       = join(weight("attn_q", "QD"), weight("attn_k", "KD"), weight("attn_v", "KD"))
	qkvBiases = join(biased("attn_q", "QD"), biased("attn_k", "KD"), biased("attn_v", "KD"))
	attention = join(qkv, weight("attn_output", "DQ"))
	headNorms = join(weight("attn_q_norm", "H"), weight("attn_k_norm", "H"))
	postNorms = join(weight("post_attention_norm", "D"), weight("post_ffw_norm", "D"))
	attnNorm  = weight("attn_norm", "D")
	ffnNorm   = weight("ffn_norm", "D")
	gated     = join(weight("ffn_gate", "FD"), weight("ffn_up", "FD"), weight("ffn_down", "DF"))
	experts   = join(weight("ffn_gate_inp", "ED"), weight("ffn_gate_exps", "EXD"), weight("ffn_up_exps", "EXD"), weight("ffn_down_exps", "EDX"))

	llama = join(attnNorm, attention, ffnNorm, gated)
	qwen3 = join(attnNorm, attention, headNorms, ffnNorm, gated)
	plain = join( // GPT-2 and GPT-NeoX: LayerNorms, biases, no gate
		biased("attn_norm", "D"), biased("attn_qkv", "PD"), biased("attn_output", "DQ"),
		biased("ffn_norm", "D"), biased("ffn_up", "FD"), biased("ffn_down", "DF"))
)

// layers has the tensors of a layer, by architecture.
var layers = map[string][]tensor{
	"llama":    llama,
	"smollm3":  llama,
	"granite":  llama,
	"qwen2":    join(attnNorm, qkvBiases, weight("attn_output", "DQ"), ffnNorm, gated),
	"qwen3":    qwen3,
	"qwen3moe": qwen3,
	"gemma2":   join(attnNorm, attention, ffnNorm, gated, postNorms),
	"gemma3":   join(attnNorm, attention, headNorms, ffnNorm, gated, postNorms),
	"phi3":     join(attnNorm, weight("attn_qkv", "PD"), weight("attn_output", "DQ"), ffnNorm, weight("ffn_up", "GD"), weight("ffn_down", "DF")),
	"olmo2":    join(attention, weight("attn_q_norm", "Q"), weight("attn_k_norm", "K"), gated, postNorms),
	"gptneox":  plain,
	"gpt2":     plain,
	"gpt-oss": join(attnNorm, qkvBiases, biased("attn_output", "DQ"), weight("attn_sinks", "A"), weight("post_attention_norm", "D"),
		biased("ffn_gate_inp", "ED"), biasedExperts("ffn_gate_exps", "EXD"), biasedExperts("ffn_up_exps", "EXD"), biasedExperts("ffn_down_exps", "EDX")),
}

// biasedExperts is a projection of every expert with its biases.
func biasedExperts(name, dims string) []tensor {
	return []tensor{{name + ".weight", dims}, {name + ".bias", dims[:2]}}
}

// Tensors lists the model's tensors in file order, as F32 and without Data. It panics on
// a shape that Check refuses.
func (s *Shape) Tensors() []quant.Tensor {
	if err := s.Check(); err != nil {
		panic(fmt.Sprintf("BUG: tensors of a shape that no model has: %v", err))
	}
	var out []quant.Tensor
	add := func(prefix string, list []tensor) {
		for _, t := range list {
			out = append(out, quant.Tensor{Name: prefix + t.name, DType: quant.F32, Shape: s.sizes(t.dims)})
		}
	}
	add("", weight("token_embd", "VD"))
	if s.Arch == "gpt2" {
		add("", weight("position_embd", "CD"))
	}
	for l := range s.Layers {
		add(fmt.Sprintf("blk.%d.", l), s.layer())
	}
	if hasBias(s.Arch, "attn_norm") {
		add("", biased("output_norm", "D"))
	} else {
		add("", weight("output_norm", "D"))
	}
	if !s.Tied {
		add("", weight("output", "VD"))
	}
	return out
}

// layer returns the architecture's tensors, in a model with experts those in place of the
// one feed-forward.
func (s *Shape) layer() []tensor {
	all := layers[s.Arch]
	isGate := func(t tensor) bool { return t == gated[0] }
	if at := slices.IndexFunc(all, isGate); s.Experts > 0 && at >= 0 {
		return join(all[:at], experts, all[at+len(gated):])
	}
	return all
}

func (s *Shape) sizes(dims string) []int {
	q, k := s.Heads*s.HeadDim, s.KVHeads*s.HeadDim
	size := map[rune]int{'V': s.Vocab, 'C': s.Context, 'D': s.Dim, 'Q': q, 'K': k, 'H': s.HeadDim, 'A': s.Heads,
		'F': s.FF, 'G': 2 * s.FF, 'P': q + 2*k, 'E': s.Experts, 'X': s.ExpertFF}
	var out []int
	for _, d := range dims {
		out = append(out, size[d])
	}
	return out
}
