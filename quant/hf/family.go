package hf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// LayoutKey is the metadata key that tells which elements of a head turn together
// under RoPE: "half" says that the two halves do. A GGUF file does not have it.
const LayoutKey = "ingot.rope.layout"

// LayoutHalf is LayoutKey's value in a Source from a Hugging Face directory.
const LayoutHalf = "half"

// family describes one value of config.json's model_type.
type family struct {
	modelType string
	class     string // of config.json's architectures, for generation or embedding
	arch      string // GGUF's name

	facts []fact
	fixed []fixed
	rules []rule

	act       activation
	theta     float64 // default of rope_theta; 0 = no rotary embedding
	window    windowRule
	scoreHead bool // FamilyForSequenceClassification is supported
}

// activation says where config.json names the feed-forward's activation, the first
// present field counting, and its default.
type activation struct {
	fields []string
	def    string
	key    bool // put it into the metadata
}

// activations are the names that the engine knows, as config.json has them.
var activations = []string{"silu", "swish", "relu", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"}

var (
	silu     = activation{fields: []string{"hidden_act"}, def: "silu", key: true}
	geluTanh = activation{fields: []string{"hidden_activation", "hidden_act"}, def: "gelu_pytorch_tanh", key: true}
)

// decoder returns the facts that most decoders share.
func decoder(eps float64, more ...fact) []fact {
	return append([]fact{
		{"max_position_embeddings", ".context_length", count, nil},
		{"hidden_size", ".embedding_length", count, nil},
		{"num_hidden_layers", ".block_count", count, nil},
		{"intermediate_size", ".feed_forward_length", count, nil},
		{"num_attention_heads", ".attention.head_count", count, nil},
		{"num_key_value_heads", ".attention.head_count_kv", count, "num_attention_heads"},
		{"rms_norm_eps", ".attention.layer_norm_rms_epsilon", number, eps},
		{"vocab_size", ".vocab_size", count, nil},
	}, more...)
}

// headDim is for families whose head size need not be hidden_size/num_attention_heads;
// def is the class's default, 0 = that quotient.
func headDim(def int) []fact {
	var d any = omitted{}
	if def != 0 {
		d = def
	}
	return []fact{{"head_dim", ".attention.key_length", count, d}, {"head_dim", ".attention.value_length", count, d}}
}

// causal are the fields that every decoder must have as it is.
var causal = []fixed{
	{"is_encoder_decoder", []any{false}},
	{"add_cross_attention", []any{false}},
	{"use_bidirectional_attention", []any{false}},
	{"quantization_config", nil},
}

var families = []*family{
	{
		modelType: "llama", class: "LlamaForCausalLM", arch: "llama", act: silu, theta: 1e4, scoreHead: true,
		facts: decoder(1e-6, headDim(0)...), fixed: causal, rules: llamaRules,
	}, {
		modelType: "mistral", class: "MistralForCausalLM", arch: "llama", act: silu, theta: 1e4, window: everyLayer, scoreHead: true,
		facts: decoder(1e-6, headDim(0)...), fixed: causal, rules: llamaRules,
	}, {
		modelType: "mixtral", class: "MixtralForCausalLM", arch: "llama", act: silu, theta: 1e6, window: everyLayer,
		facts: decoder(1e-5, append(headDim(0),
			fact{"num_local_experts", ".expert_count", count, 8},
			fact{"num_experts_per_tok", ".expert_used_count", count, 2})...),
		fixed: causal, rules: mixtralRules,
	}, {
		modelType: "qwen2", class: "Qwen2ForCausalLM", arch: "qwen2", act: silu, theta: 1e4, window: upperLayers, scoreHead: true,
		facts: decoder(1e-6), fixed: causal, rules: llamaRules,
	}, {
		modelType: "qwen3", class: "Qwen3ForCausalLM", arch: "qwen3", act: silu, theta: 1e4, window: upperLayers, scoreHead: true,
		facts: decoder(1e-6, headDim(128)...), fixed: causal, rules: qwen3Rules,
	}, {
		modelType: "qwen3_moe", class: "Qwen3MoeForCausalLM", arch: "qwen3moe", act: silu, theta: 1e4, window: upperLayers,
		facts: decoder(1e-6, append(headDim(128),
			fact{"num_experts", ".expert_count", count, "num_local_experts"}, // transformers 5 has the latter name
			fact{"num_local_experts", ".expert_count", count, "num_experts"},
			fact{"num_experts_per_tok", ".expert_used_count", count, 8},
			fact{"moe_intermediate_size", ".expert_feed_forward_length", count, 768},
			fact{"norm_topk_prob", ".expert_weights_norm", flag, false})...),
		fixed: append([]fixed{{"decoder_sparse_step", []any{1.0}}, {"mlp_only_layers", nil}}, causal...),
		rules: qwen3moeRules,
	}, {
		modelType: "gemma2", class: "Gemma2ForCausalLM", arch: "gemma2", act: geluTanh, theta: 1e4, window: alternate,
		facts: decoder(1e-6, append(headDim(256),
			fact{"attn_logit_softcapping", ".attn_logit_softcapping", number, omitted{}},
			fact{"final_logit_softcapping", ".final_logit_softcapping", number, omitted{}},
			fact{"query_pre_attn_scalar", ".attention.scale", scale, 256.0})...),
		fixed: causal, rules: gemma2Rules,
	}, {
		modelType: "gemma3_text", class: "Gemma3ForCausalLM", arch: "gemma3", act: geluTanh, theta: 1e6, window: lastOfSix,
		facts: decoder(1e-6, append(headDim(256),
			fact{"attn_logit_softcapping", ".attn_logit_softcapping", number, omitted{}},
			fact{"final_logit_softcapping", ".final_logit_softcapping", number, omitted{}},
			fact{"query_pre_attn_scalar", ".attention.scale", scale, 256.0})...),
		fixed: causal, rules: gemma3Rules,
	}, {
		modelType: "phi3", class: "Phi3ForCausalLM", arch: "phi3", act: silu, theta: 1e4, window: everyLayer,
		facts: decoder(1e-5), fixed: causal, rules: phi3Rules,
	}, {
		modelType: "gpt_oss", class: "GptOssForCausalLM", arch: "gpt-oss", theta: 150000, window: alternate,
		act: activation{fields: []string{"hidden_act"}, def: "silu"}, // the clamped SwiGLU is the family's own
		facts: decoder(1e-5, append(headDim(64),
			fact{"intermediate_size", ".expert_feed_forward_length", count, nil},
			fact{"num_local_experts", ".expert_count", count, 128},
			fact{"num_experts_per_tok", ".expert_used_count", count, 4})...),
		fixed: append([]fixed{{"hidden_act", []any{"silu"}}, {"swiglu_limit", []any{7.0}}, {"swiglu_alpha", []any{1.702}}}, causal[:3]...),
		rules: gptOSSRules,
	}, {
		modelType: "olmo2", class: "Olmo2ForCausalLM", arch: "olmo2", act: silu, theta: 1e4,
		facts: decoder(1e-5), fixed: append([]fixed{{"clip_qkv", nil}}, causal...), rules: olmo2Rules,
	}, {
		modelType: "smollm3", class: "SmolLM3ForCausalLM", arch: "smollm3", act: silu, theta: 2e6, window: upperLayers,
		facts: decoder(1e-6), fixed: causal, rules: llamaRules,
	}, {
		modelType: "granite", class: "GraniteForCausalLM", arch: "granite", act: silu, theta: 1e4,
		facts: decoder(1e-6,
			fact{"attention_multiplier", ".attention.scale", number, 1.0},
			fact{"embedding_multiplier", ".embedding_scale", number, 1.0},
			fact{"residual_multiplier", ".residual_scale", number, 1.0},
			fact{"logits_scaling", ".logit_scale", number, 1.0}),
		fixed: causal, rules: llamaRules,
	}, {
		modelType: "gpt_neox", class: "GPTNeoXForCausalLM", arch: "gptneox", theta: 1e4,
		act: activation{fields: []string{"hidden_act"}, def: "gelu", key: true},
		facts: []fact{
			{"max_position_embeddings", ".context_length", count, nil},
			{"hidden_size", ".embedding_length", count, nil},
			{"num_hidden_layers", ".block_count", count, nil},
			{"intermediate_size", ".feed_forward_length", count, nil},
			{"num_attention_heads", ".attention.head_count", count, nil},
			{"layer_norm_eps", ".attention.layer_norm_epsilon", number, 1e-5},
			{"use_parallel_residual", ".use_parallel_residual", flag, true},
			{"vocab_size", ".vocab_size", count, nil},
		},
		fixed: causal, rules: gptNeoXRules,
	}, {
		modelType: "gpt2", class: "GPT2LMHeadModel", arch: "gpt2",
		act: activation{fields: []string{"activation_function"}, def: "gelu_new", key: true},
		facts: []fact{
			{"n_positions", ".context_length", count, nil},
			{"n_embd", ".embedding_length", count, nil},
			{"n_layer", ".block_count", count, nil},
			{"n_inner", ".feed_forward_length", count, omitted{}},
			{"n_head", ".attention.head_count", count, nil},
			{"layer_norm_epsilon", ".attention.layer_norm_epsilon", number, 1e-5},
			{"vocab_size", ".vocab_size", count, nil},
		},
		fixed: append([]fixed{{"scale_attn_weights", []any{true}}, {"scale_attn_by_inverse_layer_idx", []any{false}}}, causal...),
		rules: gpt2Rules,
	}, {
		modelType: "bert", class: "BertModel", arch: "bert",
		act: activation{fields: []string{"hidden_act"}, def: "gelu", key: true},
		facts: []fact{
			{"max_position_embeddings", ".context_length", count, nil},
			{"hidden_size", ".embedding_length", count, nil},
			{"num_hidden_layers", ".block_count", count, nil},
			{"intermediate_size", ".feed_forward_length", count, nil},
			{"num_attention_heads", ".attention.head_count", count, nil},
			{"layer_norm_eps", ".attention.layer_norm_epsilon", number, 1e-12},
			{"type_vocab_size", "tokenizer.ggml.token_type_count", count, 2},
			{"vocab_size", ".vocab_size", count, nil},
		},
		fixed: []fixed{
			{"position_embedding_type", []any{"absolute"}}, {"is_decoder", []any{false}},
			{"add_cross_attention", []any{false}}, {"quantization_config", nil},
		},
		rules: bertRules,
	},
}

// permuted are the architectures whose Q and K rows a GGUF file has permuted to
// interleaved pairs.
var permuted = []string{"llama", "smollm3", "granite"}

// Permuted reports whether a GGUF file of the architecture has the rows of Q and K in
// interleaved pairs.
func Permuted(arch string) bool { return slices.Contains(permuted, arch) }

// scoreClass returns the name of the family's sequence classifier.
func (f *family) scoreClass() string {
	return strings.TrimSuffix(f.class, "ForCausalLM") + "ForSequenceClassification"
}

// lookup returns the family of a config.json, and whether the model is a sequence
// classifier. Anything else is refused by name.
func lookup(c *config) (f *family, scores bool, err error) {
	name := c.text("model_type", "")
	class := ""
	if list := c.texts("architectures"); len(list) > 0 {
		class = list[0]
	}
	for _, f := range families {
		if f.modelType != name {
			continue
		}
		switch {
		case class == "" || class == f.class || class == "BertForMaskedLM" && f.modelType == "bert":
			return f, false, nil
		case class == f.scoreClass() && f.scoreHead:
			return f, true, nil
		}
		return nil, false, fmt.Errorf("a %s model of class %q is not supported (supported: %s)", name, class, strings.Join(f.classes(), ", "))
	}
	return nil, false, fmt.Errorf("model_type %q (class %q) is not supported; supported are %s", name, class, strings.Join(modelTypes(), ", "))
}

func (f *family) classes() []string {
	if f.scoreHead {
		return []string{f.class, f.scoreClass()}
	}
	return []string{f.class}
}

func modelTypes() []string {
	names := map[string]bool{}
	for _, f := range families {
		names[f.modelType] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// familyOf returns the family that writes a Source's architecture as a config.json.
// GGUF's "llama" is three of them.
func familyOf(m *quant.Meta) (*family, error) {
	arch := m.String("general.architecture", "")
	name := ""
	for _, f := range families {
		if f.arch == arch && name == "" {
			name = f.modelType
		}
	}
	if arch == "llama" && m.Int("llama.expert_count", 0) > 0 {
		name = "mixtral"
	} else if arch == "llama" && m.Has("llama.attention.sliding_window") {
		name = "mistral"
	}
	for _, f := range families {
		if f.modelType == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("architecture %q has no Hugging Face form here; supported are %s", arch, strings.Join(modelTypes(), ", "))
}
