// Package shape holds the sizes of models: of published ones and of those that Ingot
// trains from nothing. A Shape gives the metadata and the list of tensors that the
// engine's architecture of its name reads.
package shape

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// Shape is the size of a model. A figure that its architecture does not have is 0.
type Shape struct {
	Name, Arch              string // Arch is GGUF's, such as "llama"
	Layers, Dim, FF         int
	Heads, KVHeads, HeadDim int
	Vocab, Context          int
	RopeBase                float32
	Window                  int  // keys that a query sees in layers with a window
	Tied                    bool // the embedding is the output matrix too
	Experts, ExpertsUsed    int
	ExpertFF                int
}

// dividedWidth are the architectures whose heads share the width out between them.
var dividedWidth = []string{"qwen2", "phi3", "olmo2", "smollm3", "granite", "gptneox", "gpt2"}

// Check refuses a shape that no model of its architecture can have; the error names the
// figure.
func (s *Shape) Check() error {
	if _, ok := layers[s.Arch]; !ok {
		return fmt.Errorf("no model of architecture %q can be made: known are %s", s.Arch, strings.Join(slices.Sorted(maps.Keys(layers)), ", "))
	}
	for name, n := range map[string]int{"layers": s.Layers, "width": s.Dim, "heads": s.Heads, "key-value heads": s.KVHeads,
		"head width": s.HeadDim, "vocabulary": s.Vocab, "context": s.Context} {
		if n < 1 {
			return fmt.Errorf("a model of %d %s cannot be made", n, name)
		}
	}
	switch {
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("%d heads are no multiple of %d key-value heads", s.Heads, s.KVHeads)
	case s.Heads*s.HeadDim != s.Dim && slices.Contains(dividedWidth, s.Arch):
		return fmt.Errorf("%d heads of %d do not make the width %d, as those of %s must", s.Heads, s.HeadDim, s.Dim, s.Arch)
	case s.Heads != s.KVHeads && hasBias(s.Arch, "attn_norm"):
		return fmt.Errorf("%d key-value heads for %d heads: %s has one for each", s.KVHeads, s.Heads, s.Arch)
	case s.HeadDim%2 != 0:
		return fmt.Errorf("the head width is %d, which must be even for rotary positions", s.HeadDim)
	case s.Experts == 0 && s.FF < 1 || s.Experts > 0 && s.ExpertFF < 1:
		return fmt.Errorf("the feed-forward has no width")
	case s.ExpertsUsed > s.Experts || s.Experts > 0 && s.ExpertsUsed < 1:
		return fmt.Errorf("a token goes to %d of %d experts", s.ExpertsUsed, s.Experts)
	}
	return nil
}

// Parameters returns the number of parameters, each counted once.
func (s *Shape) Parameters() int {
	n := 0
	for _, t := range s.Tensors() {
		n += t.Elems()
	}
	return n
}

// Meta returns the metadata that the architecture reads.
func (s *Shape) Meta() *quant.Meta {
	out := &quant.Meta{}
	out.Set("general.architecture", s.Arch)
	out.Set("general.name", s.Name)
	for _, c := range []struct {
		key string
		n   int
	}{
		{"vocab_size", s.Vocab}, {"block_count", s.Layers}, {"embedding_length", s.Dim}, {"feed_forward_length", s.FF},
		{"context_length", s.Context}, {"attention.head_count", s.Heads}, {"attention.head_count_kv", s.KVHeads},
		{"attention.key_length", s.HeadDim}, {"attention.value_length", s.HeadDim}, {"attention.sliding_window", s.Window},
		{"expert_count", s.Experts}, {"expert_used_count", s.ExpertsUsed}, {"expert_feed_forward_length", s.ExpertFF},
	} {
		if c.n > 0 {
			out.Set(s.Arch+"."+c.key, uint32(c.n))
		}
	}
	s.own(out)
	if s.RopeBase > 0 {
		out.Set(s.Arch+".rope.dimension_count", uint32(s.HeadDim))
		out.Set(s.Arch+".rope.freq_base", s.RopeBase)
	}
	epsilon := ".attention.layer_norm_rms_epsilon"
	if hasBias(s.Arch, "attn_norm") {
		epsilon = ".attention.layer_norm_epsilon"
	}
	out.Set(s.Arch+epsilon, float32(1e-5))
	return out
}

// own sets what only the architecture has, as its first model was published.
func (s *Shape) own(m *quant.Meta) {
	set := func(key string, value any) { m.Set(s.Arch+"."+key, value) }
	scale := float32(1 / math.Sqrt(float64(s.HeadDim)))
	switch s.Arch {
	case "qwen3moe":
		set("expert_weights_norm", true)
	case "gptneox":
		set("use_parallel_residual", true)
	case "granite", "gemma3":
		set("attention.scale", scale)
	case "gemma2":
		set("attention.scale", scale)
		set("attn_logit_softcapping", float32(50))
		set("final_logit_softcapping", float32(30))
	}
}

// hasBias reports whether a layer of the architecture has NAME.bias.
func hasBias(arch, name string) bool {
	return slices.ContainsFunc(layers[arch], func(t tensor) bool { return t.name == name+".bias" })
}
