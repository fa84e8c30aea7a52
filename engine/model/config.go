package model

import (
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Config is an architecture's numbers, read from a model's metadata. It is plain data
// shared by every family; a family reads what its paper has and ignores the rest.
type Config struct {
	Arch    string // GGUF's name of the family
	Layers  int
	Dim     int // width of the residual stream
	Heads   int // query heads
	KVHeads int
	KDim    int // of a key (and query) head
	VDim    int // of a value head
	Context int // tokens the model was trained to see
	Eps     float32

	Window  []int  // per layer: keys that a query sees, itself included; 0 = all
	SkipPos []bool // per layer: no rotary embedding (NoPE)
	Rope    Rope

	AttnScale   float32 // multiplies q.k
	AttnSoftcap float32 // 0 = none
	OutSoftcap  float32 // of the logits, 0 = none

	Experts, ExpertsUsed int
	RenormExperts        bool // the chosen experts' weights sum to one

	EmbedScale, ResidualScale, LogitScale float32 // 1 = none; logits are divided by LogitScale

	Bidirectional bool        // encoder: every token sees every token
	Pooling       int         // of an encoder's output: PoolNone ... PoolLast
	Activation    kernels.Act // of a feed-forward without gate, or of the gate
	Parallel      bool        // attention and feed-forward read the same input (GPT-NeoX)
}

// Limits on what a file may claim: far above any real model, low enough that no
// product of two overflows.
const (
	maxLayers = 1 << 12
	maxWidth  = 1 << 20
)

// ReadConfig reads the metadata under the architecture's prefix. f gives the family's
// defaults. Errors name the key and the value.
func ReadConfig(m *quant.Meta, f *Family) (Config, error) {
	k := &keys{m: m, prefix: f.Arch + "."}
	c := Config{
		Arch:    f.Arch,
		Layers:  k.count("block_count", maxLayers),
		Dim:     k.count("embedding_length", maxWidth),
		Heads:   k.count("attention.head_count", maxWidth),
		Context: k.count("context_length", 1<<30),

		Bidirectional: f.Encoder,
	}
	if k.err != nil {
		return c, k.err
	}
	c.KVHeads = k.optional("attention.head_count_kv", c.Heads, maxWidth)
	c.KDim = k.optional("attention.key_length", c.Dim/c.Heads, maxWidth)
	c.VDim = k.optional("attention.value_length", c.KDim, maxWidth)
	c.Eps = k.float("attention.layer_norm_rms_epsilon", k.float("attention.layer_norm_epsilon", 1e-5))
	c.Experts = k.optional("expert_count", 0, maxWidth)
	c.ExpertsUsed = k.optional("expert_used_count", 0, c.Experts)
	c.RenormExperts = m.Bool(k.prefix+"expert_weights_norm", true)
	c.AttnScale = k.float("attention.scale", float32(1/math.Sqrt(float64(c.KDim))))
	c.AttnSoftcap = k.float("attn_logit_softcapping", 0)
	c.OutSoftcap = k.float("final_logit_softcapping", 0)
	c.EmbedScale = k.float("embedding_scale", 1)
	c.ResidualScale = k.float("residual_scale", 1)
	c.LogitScale = k.float("logit_scale", 1)
	c.Parallel = m.Bool(k.prefix+"use_parallel_residual", false)
	c.Pooling = k.optional("pooling_type", PoolMean, PoolRank)
	c.Activation = f.Act
	if name := m.String("ingot.activation", ""); name != "" {
		act, ok := activations[name]
		if !ok {
			return c, fmt.Errorf("unknown activation %q (ingot.activation)", name)
		}
		c.Activation = act
	}
	c.Window = windows(k, c.Layers, f.WindowEvery)
	c.SkipPos = skips(m, c.Layers, f.NoPEEvery)
	c.Rope = readRope(k, &c, f)
	if k.err != nil {
		return c, k.err
	}
	if c.KVHeads == 0 || c.Heads%c.KVHeads != 0 {
		return c, fmt.Errorf("%sattention.head_count is %d, not a multiple of head_count_kv %d", k.prefix, c.Heads, c.KVHeads)
	}
	return c, nil
}

// GGUF's numbers of the ways to make one vector of a sequence's hidden states.
const (
	PoolNone = iota // every token's own
	PoolMean
	PoolFirst // [CLS]
	PoolLast
	PoolRank // a classification head reads every wanted row
)

var activations = map[string]kernels.Act{
	"silu": kernels.SiLU, "swish": kernels.SiLU, "relu": kernels.ReLU,
	"gelu": kernels.GELUErf, "gelu_new": kernels.GELUTanh, "gelu_pytorch_tanh": kernels.GELUTanh, "gelu_fast": kernels.GELUTanh,
}

// windows returns each layer's attention window. A file written by Ingot lists them;
// else the one window of the file holds for all layers but every n-th (full attention),
// n = 0 meaning for all.
func windows(k *keys, layers, every int) []int {
	out := make([]int, layers)
	if own := k.m.Ints("ingot.attention.window"); len(own) == layers {
		copy(out, own)
		return out
	}
	size := k.optional("attention.sliding_window", 0, 1<<30)
	pattern := k.m.Ints(k.prefix + "attention.sliding_window_pattern")
	if len(pattern) == 1 {
		every, pattern = pattern[0], nil
	}
	for l := range out {
		windowed := every == 0 || (l+1)%every != 0
		if len(pattern) == layers {
			windowed = pattern[l] != 0
		}
		if windowed {
			out[l] = size
		}
	}
	return out
}

// skips returns the layers without rotary embedding: those that the file lists, or
// every n-th (SmolLM3: every fourth).
func skips(m *quant.Meta, layers, every int) []bool {
	out := make([]bool, layers)
	own := m.Ints("ingot.rope.skip")
	for l := range out {
		if len(own) == layers {
			out[l] = own[l] != 0
		} else {
			out[l] = every > 0 && (l+1)%every == 0
		}
	}
	return out
}

// keys reads numbers under one prefix and keeps the first error.
type keys struct {
	m      *quant.Meta
	prefix string
	err    error
}

func (k *keys) count(key string, limit int) int {
	if !k.m.Has(k.prefix + key) {
		k.fail(fmt.Errorf("the model's metadata lacks %q", k.prefix+key))
		return 1
	}
	n := k.optional(key, 0, limit)
	if n < 1 {
		k.fail(fmt.Errorf("%s%s is %d, want at least 1", k.prefix, key, n))
		return 1
	}
	return n
}

// optional returns the integer under key, def if it is absent. An array counts if all
// its entries agree.
func (k *keys) optional(key string, def, limit int) int {
	all := k.m.Ints(k.prefix + key)
	if len(all) == 0 {
		return def
	}
	for _, n := range all {
		if n != all[0] {
			k.fail(fmt.Errorf("%s%s differs between layers (%d and %d), which is not supported", k.prefix, key, all[0], n))
		}
	}
	if all[0] < 0 || all[0] > limit {
		k.fail(fmt.Errorf("%s%s is %d, want 0 to %d", k.prefix, key, all[0], limit))
		return def
	}
	return all[0]
}

func (k *keys) float(key string, def float32) float32 {
	v := float32(k.m.Float(k.prefix+key, float64(def)))
	if v != v || v > math.MaxFloat32 || v < -math.MaxFloat32 {
		k.fail(fmt.Errorf("%s%s is %v, want a finite number", k.prefix, key, v))
		return def
	}
	return v
}

func (k *keys) fail(err error) {
	if k.err == nil {
		k.err = err
	}
}
