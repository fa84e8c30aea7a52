package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// files returns the directory's small files.
func (x *exporter) files() (map[string][]byte, error) {
	config, err := x.config()
	if err != nil {
		return nil, err
	}
	out := map[string]any{"config.json": config}
	if g := x.generation(); len(g) > 0 {
		out["generation_config.json"] = g
	}
	pieces := sentencePiece(x.meta)
	if t := x.meta.String(tokenizerKey, ""); t != "" {
		out["tokenizer_config.json"] = x.tokenizerConfig(t)
	} else if pieces != nil {
		out["tokenizer_config.json"] = x.pieceConfig()
	}
	if x.family.arch == "bert" && x.meta.Has("bert.pooling_type") {
		if err := x.pooling(out); err != nil {
			return nil, err
		}
	}
	texts := map[string][]byte{}
	for name, v := range out {
		if texts[name], err = indented(v); err != nil {
			return nil, fmt.Errorf("cannot write %s: %w", name, err)
		}
	}
	if t := x.meta.String(tokenizerKey, ""); t != "" {
		texts["tokenizer.json"] = []byte(t)
	} else if pieces != nil {
		texts["tokenizer.model"] = pieces
	}
	return texts, nil
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// config returns config.json in the form that transformers 4 and 5 both read.
func (x *exporter) config() (map[string]any, error) {
	f, m := x.family, x.meta
	c := map[string]any{"architectures": []string{f.class}, "model_type": f.modelType, "torch_dtype": torchNames[x.float]}
	for _, fact := range f.facts {
		fact.write(c, f.arch, m)
	}
	for _, must := range f.fixed {
		if len(must.values) > 0 && strings.HasPrefix(must.field, "swiglu") {
			c[must.field] = must.values[0]
		}
	}
	act := m.String(activationKey, f.act.def)
	c[f.act.fields[0]] = act
	if f.arch == "bert" || f.modelType == "gpt2" {
		c["tie_word_embeddings"] = true
	} else {
		_, untied := x.infos["output.weight"]
		c["tie_word_embeddings"] = !untied && !x.scores()
	}
	x.biases(c)
	x.ids(c)
	if x.scores() {
		x.classifier(c)
	}
	if x.mxfp4 {
		c["quantization_config"] = map[string]any{"quant_method": "mxfp4"}
	}
	f.writeWindows(c, m, x.key("block_count"))
	f.writeSkips(c, m)
	return c, f.writeRope(c, x.src)
}

var torchNames = map[quant.DType]string{quant.F32: "float32", quant.F16: "float16", quant.BF16: "bfloat16"}

// scores reports whether the model is a sequence classifier.
func (x *exporter) scores() bool { _, ok := x.infos["cls.output.weight"]; return ok }

// classifier sets the class and labels of a sequence classifier.
func (x *exporter) classifier(c map[string]any) {
	c["architectures"] = []string{x.family.scoreClass()}
	labels := x.meta.Strings(x.family.arch + ".classifier.output_labels")
	for i := len(labels); i < x.infos["cls.output.weight"].Rows(); i++ {
		labels = append(labels, fmt.Sprintf("LABEL_%d", i))
	}
	byID, byLabel := map[string]string{}, map[string]int{}
	for i, l := range labels {
		byID[fmt.Sprint(i)], byLabel[l] = l, i
	}
	c["id2label"], c["label2id"] = byID, byLabel
}

// biased are the fields that say whether projections have biases, by a tensor that
// shows it, for the families that have such a field.
var biased = map[string]map[string]string{
	"attention_bias": {"llama": "attn_q", "qwen3": "attn_q", "qwen3_moe": "attn_q", "gemma2": "attn_q", "gemma3_text": "attn_q",
		"olmo2": "attn_q", "smollm3": "attn_q", "granite": "attn_q", "gpt_oss": "attn_q", "gpt_neox": "attn_qkv"},
	"mlp_bias": {"llama": "ffn_up", "smollm3": "ffn_up", "granite": "ffn_up"},
}

func (x *exporter) biases(c map[string]any) {
	for field, families := range biased {
		if name, ok := families[x.family.modelType]; ok {
			_, c[field] = x.infos["blk.0."+name+".bias"]
		}
	}
}

// ids sets the special tokens' numbers.
func (x *exporter) ids(c map[string]any) {
	for _, s := range special {
		if (s.role == "bos" || s.role == "eos" || s.role == "pad") && x.meta.Has(idKey(s.key)) {
			c[s.role+"_token_id"] = x.meta.Int(idKey(s.key), 0)
		}
	}
}

// generation returns generation_config.json.
func (x *exporter) generation() map[string]any {
	g := map[string]any{}
	if ids := x.meta.Ints(eosIDsKey); len(ids) == 1 {
		g["eos_token_id"] = ids[0]
	} else if len(ids) > 1 {
		g["eos_token_id"] = ids
	}
	for _, s := range samplingFields {
		switch {
		case !x.meta.Has(s.key):
		case s.whole:
			g[s.field] = x.meta.Int(s.key, 0)
		default:
			g[s.field] = shortest(float32(x.meta.Float(s.key, 0)))
		}
	}
	return g
}

// tokenizerConfig returns tokenizer_config.json for a tokenizer.json's text.
func (x *exporter) tokenizerConfig(text string) map[string]any {
	c := x.commonConfig("PreTrainedTokenizerFast")
	var t tokenizerFile
	if json.Unmarshal([]byte(text), &t) != nil {
		return c
	}
	for _, s := range special {
		bert := s.role == "cls" || s.role == "sep" || s.role == "mask"
		for _, a := range t.AddedTokens {
			if x.meta.Int(idKey(s.key), -1) == int(a.ID) && bert == (x.family.arch == "bert" && s.role != "unk" && s.role != "pad") {
				c[s.role+"_token"] = a.Content
			}
		}
	}
	return c
}

// pieceConfig returns tokenizer_config.json for a tokenizer.model.
func (x *exporter) pieceConfig() map[string]any {
	c := x.commonConfig("LlamaTokenizer")
	tokens := x.meta.Strings("tokenizer.ggml.tokens")
	for _, s := range special {
		id := x.meta.Int(idKey(s.key), -1)
		if id >= 0 && id < len(tokens) && s.role != "cls" && s.role != "sep" {
			c[s.role+"_token"] = tokens[id]
		}
	}
	return c
}

// commonConfig returns what does not depend on the tokenizer's kind.
func (x *exporter) commonConfig(class string) map[string]any {
	c := map[string]any{"tokenizer_class": class, "clean_up_tokenization_spaces": false}
	if n := x.key("context_length"); n > 0 {
		c["model_max_length"] = n
	}
	if t := x.meta.String(templateKey, ""); t != "" {
		c["chat_template"] = t
	}
	for _, field := range []string{"add_bos_token", "add_eos_token"} {
		if x.meta.Has("tokenizer.ggml." + field) {
			c[field] = x.meta.Bool("tokenizer.ggml."+field, false)
		}
	}
	return c
}

// layerTyped are the families whose config.json has layer_types.
var layerTyped = []string{"gemma2", "gemma3_text", "gpt_oss", "qwen2", "qwen3", "smollm3"}

// writeWindows is readWindows' inverse. A file of another program says the pattern by
// the architecture alone.
func (f *family) writeWindows(c map[string]any, m *quant.Meta, layers int) {
	if f.window == noWindow {
		return
	}
	w := m.Ints(windowKey)
	size := m.Int(f.arch+".attention.sliding_window", 0)
	if len(w) != layers {
		w = f.defaultWindows(m, layers, size)
	}
	c["sliding_window"] = nil
	if slices.ContainsFunc(w, func(n int) bool { return n > 0 }) {
		c["sliding_window"] = size
	}
	if f.window == upperLayers {
		c["use_sliding_window"] = c["sliding_window"] != nil
	}
	if slices.Contains(layerTyped, f.modelType) {
		types := make([]string, layers)
		for l := range types {
			types[l] = "full_attention"
			if w[l] > 0 {
				types[l] = "sliding_attention"
			}
		}
		c["layer_types"] = types
	}
}

// defaultWindows returns each layer's window as llama.cpp takes it from size and
// pattern.
func (f *family) defaultWindows(m *quant.Meta, layers, size int) []int {
	every := map[windowRule]int{alternate: 2, lastOfSix: 6}[f.window]
	every = m.Int(f.arch+".attention.sliding_window_pattern", every)
	w := make([]int, layers)
	for l := range w {
		if every == 0 || (l+1)%every != 0 {
			w[l] = size
		}
	}
	return w
}

// writeSkips is readSkips' inverse.
func (f *family) writeSkips(c map[string]any, m *quant.Meta) {
	skip := m.Ints(skipKey)
	if f.modelType != "smollm3" || len(skip) == 0 {
		return
	}
	turns := make([]int, len(skip))
	for l, s := range skip {
		turns[l] = 1 - s
	}
	c["no_rope_layers"] = turns
}

// writeRope is the inverse of reading the rotary embedding, in the older form.
func (f *family) writeRope(c map[string]any, src quant.Source) error {
	if f.theta == 0 {
		return nil
	}
	m := src.Meta()
	theta, partial := "rope_theta", "partial_rotary_factor"
	if f.modelType == "gpt_neox" {
		theta, partial = "rotary_emb_base", "rotary_pct"
	}
	c[theta] = shortest(float32(m.Float(f.arch+".rope.freq_base", f.theta)))
	if f.arch == "gemma3" {
		c["rope_local_base_freq"] = shortest(float32(m.Float("gemma3.rope.freq_base_swa", 10000)))
	}
	heads := max(m.Int(f.arch+".attention.head_count", 1), 1)
	head := m.Int(f.arch+".attention.key_length", m.Int(f.arch+".embedding_length", 0)/heads)
	if dims := m.Int(f.arch+".rope.dimension_count", head); dims != head || f.modelType == "phi3" {
		c[partial] = float64(dims) / float64(head)
	}
	if f.modelType == "phi3" && m.Has("phi3.rope.scaling.original_context_length") {
		c["original_max_position_embeddings"] = m.Int("phi3.rope.scaling.original_context_length", 0)
	}
	scaling, err := f.scaling(src)
	c["rope_scaling"] = nil
	if scaling != nil {
		c["rope_scaling"] = scaling
	}
	return err
}

// scaling returns rope_scaling, nil for none.
func (f *family) scaling(src quant.Source) (map[string]any, error) {
	m := src.Meta()
	prefix := f.arch + ".rope.scaling."
	number := func(key string) any { return shortest(float32(m.Float(prefix+key, 0))) }
	original := m.Int(prefix+"original_context_length", m.Int(f.arch+".context_length", 0))
	switch kind := m.String(prefix+"type", "none"); kind {
	case "linear":
		return map[string]any{"rope_type": "linear", "factor": number("factor")}, nil
	case "yarn":
		s := map[string]any{
			"rope_type": "yarn", "factor": number("factor"), "original_max_position_embeddings": original,
			"beta_fast": number("yarn_beta_fast"), "beta_slow": number("yarn_beta_slow"), "truncate": m.Bool(truncateKey, true),
		}
		if a := m.Float(prefix+"yarn_attn_factor", 0); a != 0 {
			s["attention_factor"] = a * (1 + 0.1*math.Log(m.Float(prefix+"factor", 1)))
		}
		return s, nil
	case "none", "longrope":
	default:
		return nil, fmt.Errorf("%stype %q has no form in config.json", prefix, kind)
	}
	if long, err := vector(src, longName); err == nil {
		short, err := vector(src, shortName)
		s := map[string]any{"rope_type": "longrope", "long_factor": long, "short_factor": short}
		if m.Has(prefix + "attn_factor") {
			s["attention_factor"] = number("attn_factor")
		}
		return s, err
	} else if !errors.Is(err, quant.ErrNoTensor) {
		return nil, err
	}
	return f.llama3Scaling(src, original)
}

// llama3Scaling returns Llama 3's settings. A file of another program has only the
// factors that follow from them: they must be those of the published settings.
func (f *family) llama3Scaling(src quant.Source, original int) (map[string]any, error) {
	factors, err := vector(src, freqsName)
	if errors.Is(err, quant.ErrNoTensor) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := src.Meta().Clone()
	if !m.Has(llama3Prefix + "factor") {
		original = 8192
		m.Set(f.arch+".rope.scaling.original_context_length", uint32(original))
		m.Set(llama3Prefix+"factor", slices.Max(factors))
		m.Set(llama3Prefix+"low_freq_factor", float32(1))
		m.Set(llama3Prefix+"high_freq_factor", float32(4))
	}
	for i, want := range llama3(m, f.arch, 2*len(factors)) {
		if math.Abs(float64(want-factors[i])) > 1e-3*float64(want) {
			return nil, fmt.Errorf("tensor %q holds factors that follow from no known rope_scaling (number %d is %v, not %v)", freqsName, i, factors[i], want)
		}
	}
	s := map[string]any{"rope_type": "llama3", "original_max_position_embeddings": original}
	for _, field := range llama3Fields {
		s[field] = shortest(float32(m.Float(llama3Prefix+field, 0)))
	}
	return s, nil
}

// vector returns a small F32 tensor's values.
func vector(src quant.Source, name string) ([]float32, error) {
	t, err := src.Tensor(name)
	if err != nil {
		return nil, err
	}
	if t.DType != quant.F32 {
		return nil, fmt.Errorf("tensor %q has type %v, want F32", name, t.DType)
	}
	v := make([]float32, t.Elems())
	quant.Dequantize(t.DType, v, t.Data)
	return v, nil
}
