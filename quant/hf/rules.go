package hf

import "strings"

// rule ties a tensor of GGUF to one of Hugging Face. In the names {l} stands for the
// layer, {e} for the expert.
type rule struct {
	gguf, hf string
	form     form
	optional bool
}

// weight ties NAME.weight on both sides.
func weight(gguf, hf string) rule { return rule{gguf: gguf + ".weight", hf: hf + ".weight"} }

// maybe is weight for a tensor that not every model has.
func maybe(gguf, hf string) rule {
	return rule{gguf: gguf + ".weight", hf: hf + ".weight", optional: true}
}

// linear ties a projection's weight and its optional bias, both changed by form.
func linear(gguf, hf string, f ...form) []rule {
	w, b := weight(gguf, hf), rule{gguf: gguf + ".bias", hf: hf + ".bias", optional: true}
	if len(f) > 0 {
		w.form, b.form = f[0], f[0]
	}
	return []rule{w, b}
}

// norm ties a LayerNorm's weight and bias.
func norm(gguf, hf string) []rule { return linear(gguf, hf) }

func join(lists ...[]rule) []rule {
	var out []rule
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// within puts prefixes before the names of rules.
func within(gguf, hf string, rules []rule) []rule {
	out := make([]rule, len(rules))
	for i, r := range rules {
		r.gguf, r.hf = gguf+r.gguf, hf+r.hf
		out[i] = r
	}
	return out
}

// layer puts the layer's prefixes before the names of rules.
func layer(hf string, rules ...[]rule) []rule { return within("blk.{l}.", hf+"{l}.", join(rules...)) }

var (
	ends = []rule{
		weight("token_embd", "model.embed_tokens"),
		weight("output_norm", "model.norm"),
		maybe("output", "lm_head"),
		maybe("cls.output", "score"),
	}
	attention = join(
		linear("attn_q", "self_attn.q_proj"), linear("attn_k", "self_attn.k_proj"),
		linear("attn_v", "self_attn.v_proj"), linear("attn_output", "self_attn.o_proj"),
	)
	headNorms = []rule{weight("attn_q_norm", "self_attn.q_norm"), weight("attn_k_norm", "self_attn.k_norm")}
	preNorms  = []rule{weight("attn_norm", "input_layernorm"), weight("ffn_norm", "post_attention_layernorm")}
	gated     = join(linear("ffn_gate", "mlp.gate_proj"), linear("ffn_up", "mlp.up_proj"), linear("ffn_down", "mlp.down_proj"))
)

var llamaRules = join(ends, layer("model.layers.", preNorms, attention, gated))

var qwen3Rules = join(ends, layer("model.layers.", preNorms, attention, headNorms, gated))

var mixtralRules = join(ends, layer("model.layers.", preNorms, attention, []rule{
	weight("ffn_gate_inp", "block_sparse_moe.gate"),
	{gguf: "ffn_gate_exps.weight", hf: "block_sparse_moe.experts.{e}.w1.weight", form: expert},
	{gguf: "ffn_down_exps.weight", hf: "block_sparse_moe.experts.{e}.w2.weight", form: expert},
	{gguf: "ffn_up_exps.weight", hf: "block_sparse_moe.experts.{e}.w3.weight", form: expert},
}))

var qwen3moeRules = join(ends, layer("model.layers.", preNorms, attention, headNorms, []rule{
	weight("ffn_gate_inp", "mlp.gate"),
	{gguf: "ffn_gate_exps.weight", hf: "mlp.experts.{e}.gate_proj.weight", form: expert},
	{gguf: "ffn_down_exps.weight", hf: "mlp.experts.{e}.down_proj.weight", form: expert},
	{gguf: "ffn_up_exps.weight", hf: "mlp.experts.{e}.up_proj.weight", form: expert},
}))

var gemmaNorms = []rule{
	weight("attn_norm", "input_layernorm"), weight("post_attention_norm", "post_attention_layernorm"),
	weight("ffn_norm", "pre_feedforward_layernorm"), weight("post_ffw_norm", "post_feedforward_layernorm"),
}

var gemma2Rules = plusOne(join(ends[:3], layer("model.layers.", gemmaNorms, attention, gated)))

var gemma3Rules = plusOne(join(ends[:3], layer("model.layers.", gemmaNorms, attention, headNorms, gated)))

// plusOne marks the norms: Gemma multiplies by 1+w, and GGUF stores 1+w.
func plusOne(rules []rule) []rule {
	for i := range rules {
		if strings.HasSuffix(rules[i].gguf, "_norm.weight") {
			rules[i].form = onePlus
		}
	}
	return rules
}

// phi3Rules: the fused projections lie in GGUF as they are (q, k, v; gate, up).
var phi3Rules = join(ends, layer("model.layers.", preNorms,
	linear("attn_qkv", "self_attn.qkv_proj"), linear("attn_output", "self_attn.o_proj"),
	linear("ffn_up", "mlp.gate_up_proj"), linear("ffn_down", "mlp.down_proj"),
))

var olmo2Rules = join(ends, layer("model.layers.", attention, headNorms, gated, []rule{
	weight("post_attention_norm", "post_attention_layernorm"), weight("post_ffw_norm", "post_feedforward_layernorm"),
}))

// gptOSSRules: experts either as float arrays [experts, in, out] or as MXFP4 blocks
// and scales, as published; gate and up interleaved.
var gptOSSRules = join(ends, layer("model.layers.", attention, linear("ffn_gate_inp", "mlp.router"), []rule{
	weight("attn_norm", "input_layernorm"), weight("post_attention_norm", "post_attention_layernorm"),
	{gguf: "attn_sinks.weight", hf: "self_attn.sinks"},
	{gguf: "ffn_gate_exps.weight", hf: "mlp.experts.gate_up_proj", form: gateOf},
	{gguf: "ffn_up_exps.weight", hf: "mlp.experts.gate_up_proj", form: upOf},
	{gguf: "ffn_down_exps.weight", hf: "mlp.experts.down_proj", form: turned},
	{gguf: "ffn_gate_exps.bias", hf: "mlp.experts.gate_up_proj_bias", form: gateOf},
	{gguf: "ffn_up_exps.bias", hf: "mlp.experts.gate_up_proj_bias", form: upOf},
	{gguf: "ffn_down_exps.bias", hf: "mlp.experts.down_proj_bias"},
}))

var gptNeoXRules = join(
	[]rule{weight("token_embd", "gpt_neox.embed_in"), maybe("output", "embed_out")},
	norm("output_norm", "gpt_neox.final_layer_norm"),
	layer("gpt_neox.layers.",
		norm("attn_norm", "input_layernorm"), norm("ffn_norm", "post_attention_layernorm"),
		linear("attn_qkv", "attention.query_key_value", perHead), linear("attn_output", "attention.dense"),
		linear("ffn_up", "mlp.dense_h_to_4h"), linear("ffn_down", "mlp.dense_4h_to_h"),
	))

// gpt2Rules: the names are given without the prefix "transformer.", which most files
// have; see names.
var gpt2Rules = join(
	[]rule{weight("token_embd", "wte"), weight("position_embd", "wpe"), maybe("output", "lm_head")},
	norm("output_norm", "ln_f"),
	layer("h.",
		norm("attn_norm", "ln_1"), norm("ffn_norm", "ln_2"),
		linear("attn_qkv", "attn.c_attn", turned), linear("attn_output", "attn.c_proj", turned),
		linear("ffn_up", "mlp.c_fc", turned), linear("ffn_down", "mlp.c_proj", turned),
	))

// bertRules: the pooler, which only BERT's pretraining uses, has no place in GGUF.
var bertRules = join(
	[]rule{
		weight("token_embd", "embeddings.word_embeddings"), weight("position_embd", "embeddings.position_embeddings"),
		weight("token_types", "embeddings.token_type_embeddings"),
	},
	norm("token_embd_norm", "embeddings.LayerNorm"),
	layer("encoder.layer.",
		linear("attn_q", "attention.self.query"), linear("attn_k", "attention.self.key"), linear("attn_v", "attention.self.value"),
		linear("attn_output", "attention.output.dense"), norm("attn_output_norm", "attention.output.LayerNorm"),
		linear("ffn_up", "intermediate.dense"), linear("ffn_down", "output.dense"), norm("layer_output_norm", "output.LayerNorm"),
	))

// prefixes are what files of a family may have before every name, the first one being
// what we write.
var prefixes = map[string][]string{
	"gpt2": {"transformer.", ""},
	"bert": {"", "bert."},
}

// unused are endings of tensors that hold no weights, and names that an embedding
// model has no use for.
var unused = []string{
	"rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias",
	"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias",
}

// unusedPrefixes begin the names of pretraining heads.
var unusedPrefixes = []string{"cls.predictions.", "cls.seq_relationship."}
