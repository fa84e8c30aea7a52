package hf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

// small returns a config.json of a tiny model and the tensors that it needs, all zero
// but for a count in the first element.
func small(modelType string) (map[string]any, []safetensors.Tensor) {
	c := map[string]any{
		"model_type": modelType, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
		"num_key_value_heads": 1, "max_position_embeddings": 64, "vocab_size": 5, "head_dim": 4, "tie_word_embeddings": true,
	}
	f := familyNamed(modelType)
	var out []safetensors.Tensor
	for _, r := range f.rules {
		if r.optional {
			continue
		}
		for l := range r.links(model{layers: 2, heads: 2, experts: 2}) {
			shape := map[bool][]int{true: {8}, false: {8, 8}}[strings.HasSuffix(l.hf, "norm.weight")]
			out = append(out, floatTensor(l.hf, shape...))
		}
	}
	return c, out
}

func familyNamed(modelType string) *family {
	return families[slices.IndexFunc(families, func(f *family) bool { return f.modelType == modelType })]
}

func floatTensor(name string, shape ...int) safetensors.Tensor {
	t := safetensors.Tensor{Name: name, DType: "F32", Shape: shape}
	n, _ := t.Bytes()
	t.Data = make([]byte, n)
	for i := range t.Data {
		t.Data[i] = byte(i * 37 % 60) // small positive floats
	}
	return t
}

// saveModel writes a model directory.
func saveModel(t testing.TB, config map[string]any, tensors []safetensors.Tensor, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	var st bytes.Buffer
	err = safetensors.Write(&st, tensors, nil, func(i int, w io.Writer) error { _, err := w.Write(tensors[i].Data); return err })
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"config.json": string(raw), "model.safetensors": st.String()}
	maps.Copy(all, files)
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestRefusedFields: a field that would change the model is refused by its name.
func TestRefusedFields(t *testing.T) {
	for _, c := range []struct {
		family, field string
		value         any
		want          string
	}{
		{"llama", "model_type", "mamba", `"mamba"`},
		{"llama", "architectures", []string{"LlamaForQuestionAnswering"}, "LlamaForQuestionAnswering"},
		{"gemma2", "architectures", []string{"Gemma2ForSequenceClassification"}, "Gemma2ForSequenceClassification"},
		{"llama", "hidden_act", "relu2", "hidden_act"},
		{"llama", "quantization_config", map[string]any{"quant_method": "gptq"}, "quantization_config"},
		{"llama", "rope_scaling", map[string]any{"type": "dynamic", "factor": 2}, `"dynamic"`},
		{"llama", "rope_scaling", map[string]any{"type": "linear"}, "factor"},
		{"llama", "rope_scaling", map[string]any{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1}, "high_freq_factor"},
		{"llama", "rope_scaling", map[string]any{"rope_type": "yarn", "factor": 8, "mscale": 1}, "mscale"},
		{"llama", "rope_scaling", "linear", "rope_scaling"},
		{"phi3", "rope_scaling", map[string]any{"type": "longrope", "long_factor": []int{1}, "short_factor": []int{1}}, "long_factor"},
		{"gemma3_text", "use_bidirectional_attention", true, "use_bidirectional_attention"},
		{"gemma3_text", "rope_parameters", map[string]any{"full_attention": map[string]any{"rope_theta": 1e6}, "sliding_attention": map[string]any{"rope_type": "linear"}}, "sliding_attention"},
		{"qwen2", "layer_types", []string{"full_attention", "linear_attention"}, "linear_attention"},
		{"qwen2", "layer_types", []string{"full_attention"}, "layer_types"},
		{"qwen3_moe", "decoder_sparse_step", 2, "decoder_sparse_step"},
		{"qwen3_moe", "mlp_only_layers", []int{0}, "mlp_only_layers"},
		{"gpt_oss", "swiglu_limit", 5.0, "swiglu_limit"},
		{"gpt_oss", "hidden_act", "gelu", "hidden_act"},
		{"gpt2", "scale_attn_by_inverse_layer_idx", true, "scale_attn_by_inverse_layer_idx"},
		{"gpt2", "scale_attn_weights", false, "scale_attn_weights"},
		{"bert", "position_embedding_type", "relative_key", "position_embedding_type"},
		{"bert", "is_decoder", true, "is_decoder"},
		{"olmo2", "clip_qkv", 8.0, "clip_qkv"},
		{"smollm3", "no_rope_layers", []int{1}, "no_rope_layers"},
		{"llama", "hidden_size", nil, "hidden_size"},
		{"llama", "hidden_size", "64", "hidden_size"},
		{"llama", "hidden_size", -64, "hidden_size"},
		{"llama", "hidden_size", 1.5, "hidden_size"},
		{"llama", "hidden_size", 1e30, "hidden_size"},
		{"llama", "num_hidden_layers", 0, "layers"},
		{"llama", "num_hidden_layers", 1 << 30, "layers"},
		{"llama", "eos_token_id", "x", "eos_token_id"},
		{"llama", "tie_word_embeddings", "x", "tie_word_embeddings"},
	} {
		config, tensors := small(c.family)
		if c.family == "gpt2" {
			maps.Copy(config, map[string]any{"n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 64})
		}
		config[c.field] = c.value
		s, err := Open(saveModel(t, config, tensors, nil))
		if err == nil {
			s.Close()
			t.Errorf("%s: %s = %v is accepted", c.family, c.field, c.value)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s = %v: %v, want a message with %q", c.family, c.field, c.value, err, c.want)
		}
	}
}

func TestTensorsThatDoNotFit(t *testing.T) {
	config, tensors := small("llama")
	open := func(tensors []safetensors.Tensor) error {
		s, err := Open(saveModel(t, config, tensors, nil))
		if err == nil {
			s.Close()
		}
		return err
	}
	unused := append(slices.Clone(tensors), floatTensor("lm_head.weight", 5, 8), floatTensor("model.layers.0.self_attn.rotary_emb.inv_freq", 2))
	if err := open(unused); err != nil {
		t.Errorf("a tied head and tables are refused: %v", err)
	}
	if err := open(append(slices.Clone(tensors), floatTensor("model.layers.2.mlp.up_proj.weight", 8))); err == nil || !strings.Contains(err.Error(), "layers.2.mlp.up_proj") {
		t.Errorf("a third layer gives %v", err)
	}
	if err := open(tensors[1:]); err == nil || !strings.Contains(err.Error(), tensors[0].Name) {
		t.Errorf("a missing tensor gives %v", err)
	}
	odd := slices.Clone(tensors)
	odd[3].DType = "I32"
	if err := open(odd); err == nil || !strings.Contains(err.Error(), "I32") {
		t.Errorf("a weight of integers gives %v", err)
	}
}

// TestNamePrefixes: GPT-2 and BERT files have names with and without a prefix.
func TestNamePrefixes(t *testing.T) {
	for family, list := range prefixes {
		for _, p := range list {
			config, tensors := small(family)
			maps.Copy(config, map[string]any{"n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 64})
			for i := range tensors {
				tensors[i].Name = strings.ReplaceAll(p+tensors[i].Name, "LayerNorm.weight", map[string]string{"": "LayerNorm.weight", "bert.": "LayerNorm.gamma"}[p])
			}
			s := openDir(t, saveModel(t, config, tensors, nil), "config.json")
			if len(s.Infos()) != len(tensors) {
				t.Errorf("%s with prefix %q: %d tensors of %d", family, p, len(s.Infos()), len(tensors))
			}
		}
	}
}

// TestRopeScalings reads each kind and writes it back.
func TestRopeScalings(t *testing.T) {
	for _, c := range []struct {
		family  string
		scaling map[string]any
		meta    map[string]any // under the architecture's rope.scaling.
	}{
		{"qwen2", map[string]any{"rope_type": "linear", "factor": 4.0}, map[string]any{"type": "linear", "factor": float32(4)}},
		{"qwen3", map[string]any{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": true},
			map[string]any{"type": "yarn", "factor": float32(4), "original_context_length": uint32(16), "yarn_beta_fast": float32(32)}},
		{"phi3", map[string]any{"rope_type": "longrope", "long_factor": []float64{1, 2}, "short_factor": []float64{1, 1.5}},
			map[string]any{"type": "longrope", "original_context_length": uint32(16), "attn_factor": float32(math.Sqrt(1.5))}},
		{"llama", map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16},
			map[string]any{"original_context_length": uint32(16)}},
	} {
		config, tensors := small(c.family)
		config["rope_scaling"] = c.scaling
		if c.family == "phi3" {
			config["original_max_position_embeddings"] = 16
		}
		s := openDir(t, saveModel(t, config, tensors, nil), "config.json")
		arch := s.Meta().String("general.architecture", "")
		for k, v := range c.meta {
			if got := s.Meta().Get(arch + ".rope.scaling." + k); !reflect.DeepEqual(got, v) {
				t.Errorf("%s: %s is %v, want %v", c.family, k, got, v)
			}
		}
		back := map[string]any{}
		if err := familyNamed(c.family).writeRope(back, s); err != nil {
			t.Fatal(err)
		}
		got := normal(t, back["rope_scaling"])
		delete(got, "attention_factor") // stated where it followed
		if want := normal(t, c.scaling); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: written back %v, want %v", c.family, got, want)
		}
	}
}

// normal returns what a value is after JSON.
func normal(t *testing.T, v any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestForeignLlama3: a file of another program has the factors but not the settings.
func TestForeignLlama3(t *testing.T) {
	m := &quant.Meta{}
	m.Set("general.architecture", "llama")
	m.Set("llama.rope.freq_base", float32(500000))
	m.Set("llama.rope.dimension_count", uint32(128))
	m.Set("llama.rope.scaling.original_context_length", uint32(8192))
	for _, factor := range []float32{8, 32} {
		m.Set(llama3Prefix+"factor", factor)
		factors := llama3(m, "llama", 128)
		if factors[0] != 1 || factors[63] != factor || factors[30] <= 1 || factors[30] >= factor {
			t.Errorf("factors %v", factors)
		}
		foreign := m.Clone()
		foreign.Delete(llama3Prefix + "factor")
		src := vectors{meta: foreign, values: factors}
		got, err := familyNamed("llama").llama3Scaling(src, 4096)
		if err != nil || fmt.Sprint(got["factor"]) != fmt.Sprintf("%.1f", factor) || got["original_max_position_embeddings"] != 8192 {
			t.Errorf("got %v, %v", got, err)
		}
		src.values[40] *= 1.5
		if got, err := familyNamed("llama").llama3Scaling(src, 4096); err == nil {
			t.Errorf("other factors give %v", got)
		}
	}
}

// vectors is a source of one vector.
type vectors struct {
	quant.Source
	meta   *quant.Meta
	values []float32
}

func (v vectors) Meta() *quant.Meta { return v.meta }

func (v vectors) Tensor(name string) (quant.Tensor, error) {
	data := make([]byte, 4*len(v.values))
	putFloats(data, v.values)
	return quant.Tensor{Name: name, DType: quant.F32, Shape: []int{len(v.values)}, Data: data}, nil
}

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		family string
		fields map[string]any
		layers int
		want   []int32
		period int
	}{
		{"mistral", map[string]any{"sliding_window": 8}, 3, []int32{8, 8, 8}, 0},
		{"mistral", map[string]any{"sliding_window": nil}, 3, nil, 0},
		{"gemma2", map[string]any{"sliding_window": 8}, 4, []int32{8, 0, 8, 0}, 2},
		{"gemma3_text", map[string]any{"sliding_window": 8}, 7, []int32{8, 8, 8, 8, 8, 0, 8}, 6},
		{"gemma3_text", map[string]any{"sliding_window": 8, "sliding_window_pattern": 3}, 4, []int32{8, 8, 0, 8}, 3},
		{"gemma3_text", map[string]any{"sliding_window": 8, "layer_types": []any{"full_attention", "sliding_attention", "full_attention"}}, 3, []int32{0, 8, 0}, 0},
		{"qwen2", map[string]any{"sliding_window": 8, "use_sliding_window": false}, 2, nil, 0},
		{"qwen2", map[string]any{"sliding_window": 8, "use_sliding_window": true, "max_window_layers": 1}, 3, []int32{0, 8, 8}, 0},
		{"llama", map[string]any{"sliding_window": 8}, 2, nil, 0},
	} {
		raw, _ := json.Marshal(c.fields)
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := readConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		f, m := familyNamed(c.family), &quant.Meta{}
		f.readWindows(config, c.layers, m)
		got, _ := m.Get(windowKey).([]int32)
		if config.err != nil || !slices.Equal(got, c.want) || m.Int(f.arch+".attention.sliding_window_pattern", 0) != c.period {
			t.Errorf("%s %v: windows %v, pattern %v, %v", c.family, c.fields, got, m.Get(f.arch+".attention.sliding_window_pattern"), config.err)
		}
		if want := m.Int(f.arch+".attention.sliding_window", 0); (want == 8) != (c.want != nil) {
			t.Errorf("%s %v: sliding_window %d", c.family, c.fields, want)
		}
	}
}

const tokenizerJSON = `{"added_tokens":[{"id":0,"content":"<s>"},{"id":1,"content":"</s>"},{"id":7,"content":"<|im_end|>"}],
 "post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing",
 "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]}]},"model":{"type":"BPE","vocab":{"a":2}}}`

func TestTokenizerFiles(t *testing.T) {
	config, tensors := small("llama")
	config["eos_token_id"] = []int{1, 7}
	config["pad_token_id"] = 4
	dir := saveModel(t, config, tensors, map[string]string{
		"tokenizer.json":         tokenizerJSON,
		"tokenizer_config.json":  `{"bos_token":{"content":"<s>"},"eos_token":"</s>","chat_template":[{"name":"default","template":"D"},{"name":"tool_use","template":"T"}]}`,
		"generation_config.json": `{"eos_token_id":[7,1],"temperature":0.6,"top_k":20,"top_p":0.95,"repetition_penalty":1.1}`,
	})
	want := map[string]any{
		tokenizerKey: tokenizerJSON, templateKey: "D", templateKey + ".tool_use": "T", eosIDsKey: []int32{7, 1},
		idKey("bos"): uint32(0), idKey("eos"): uint32(1), idKey("padding"): uint32(4), idKey("eot"): uint32(7), idKey("unknown"): nil,
		"tokenizer.ggml.add_bos_token": true, "tokenizer.ggml.add_eos_token": false,
		"general.sampling.temp": float32(0.6), "general.sampling.top_k": int32(20), "general.sampling.top_p": float32(0.95),
		"general.sampling.penalty_repeat": float32(1.1), "general.sampling.min_p": nil,
	}
	s := openDir(t, dir, "config.json")
	for k, v := range want {
		if got := s.Meta().Get(k); !reflect.DeepEqual(got, v) {
			t.Errorf("%s is %v, want %v", k, got, v)
		}
	}
	for name, text := range map[string]string{"chat_template.jinja": "J", "tokenizer_config.json": `{"add_bos_token":false,"chat_template":"C"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := openDir(t, dir, "config.json").Meta()
	if m.String(templateKey, "") != "J" || m.Bool("tokenizer.ggml.add_bos_token", true) {
		t.Errorf("template %q, add_bos_token %v", m.Get(templateKey), m.Get("tokenizer.ggml.add_bos_token"))
	}
	for name, text := range map[string]string{"tokenizer.json": "{", "tokenizer_config.json": "[]", "generation_config.json": `{"top_k":"x"}`} {
		bad := saveModel(t, config, tensors, map[string]string{name: text})
		if s, err := Open(bad); err == nil {
			s.Close()
			t.Errorf("%s of %q is accepted", name, text)
		}
	}
}

func TestPooling(t *testing.T) {
	config, tensors := small("bert")
	open := func(modules, pooling string) (*quant.Meta, error) {
		dir := saveModel(t, config, tensors, map[string]string{"modules.json": modules})
		if err := os.Mkdir(filepath.Join(dir, "pool"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "pool", "config.json"), []byte(pooling), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir)
		if err != nil {
			return nil, err
		}
		defer s.Close()
		return s.Meta(), nil
	}
	const plain = `[{"path":"","type":"x.Transformer"},{"path":"pool","type":"x.Pooling"}]`
	for pooling, kind := range map[string]int{
		`{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}`: poolingCLS,
		`{"pooling_mode_mean_tokens":true}`:                                poolingMean,
		`{"pooling_mode_lasttoken":true}`:                                  poolingLast,
	} {
		m, err := open(plain, pooling)
		if err != nil || m.Int("bert.pooling_type", 0) != kind || m.Bool(normalizeKey, true) {
			t.Errorf("%s: %v", pooling, err)
		}
	}
	for _, bad := range [][2]string{
		{plain, `{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true}`}, {plain, `{"pooling_mode_max_tokens":true}`}, {plain, `{}`},
		{`[{"path":"2_Dense","type":"x.Dense"}]`, `{}`}, {`[{"path":"../pool","type":"x.Pooling"}]`, `{}`}, {`{`, `{}`},
	} {
		if m, err := open(bad[0], bad[1]); err == nil {
			t.Errorf("%q is accepted as %v", bad, m.Get("bert.pooling_type"))
		}
	}
}

func TestPickles(t *testing.T) {
	config, _ := small("llama")
	dir := saveModel(t, config, nil, map[string]string{"pytorch_model.bin": ""})
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "pickle") {
		t.Errorf("a pickle gives %v", err)
	}
}

// fp4 are the values of MXFP4's codes (OCP Microscaling Formats 1.0, E2M1).
var fp4 = []float64{0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6}

// TestPublishedMXFP4 decodes experts by the definition of the published layout and
// compares with the GGUF tensors' values.
func TestPublishedMXFP4(t *testing.T) {
	const experts, rows, blocks = 2, 6, 3
	rng := rand.New(rand.NewPCG(7, 8))
	random := func(name string, shape ...int) safetensors.Tensor {
		x := safetensors.Tensor{Name: name, DType: "U8", Shape: shape}
		n, _ := x.Bytes()
		x.Data = make([]byte, n)
		for i := range x.Data {
			x.Data[i] = byte(rng.Uint32())
		}
		return x
	}
	b, s := random("w_blocks", experts, rows, blocks, 16), random("w_scales", experts, rows, blocks)
	for i := range s.Data {
		s.Data[i] = 120 + s.Data[i]%16
	}
	value := func(row, col int) float32 {
		block := row*blocks + col/32
		code := b.Data[block*16+col%32/2] >> (4 * (col % 2)) & 15
		return float32(math.Ldexp(fp4[code], int(s.Data[block])-127))
	}
	rebuilt := [2][]byte{make([]byte, len(b.Data)), make([]byte, len(s.Data))}
	for f, step := range map[form][2]int{turned: {0, 1}, gateOf: {0, 2}, upOf: {1, 2}} {
		m, shape, err := published(b, s, f)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(shape, []int{experts, rows / step[1], blocks * 32}) {
			t.Fatalf("shape %v", shape)
		}
		x := quant.Tensor{Name: "w", DType: quant.MXFP4, Shape: shape}
		x.Data = make([]byte, size(x))
		recipe{mxfp4: m}.fill(x, x.Data)
		values := make([]float32, x.Elems())
		quant.Dequantize(x.DType, values, x.Data)
		for i, got := range values {
			if want := value(i/x.Cols()*step[1]+step[0], i%x.Cols()); got != want {
				t.Fatalf("form %d: element %d is %v, want %v", f, i, got, want)
			}
		}
		MXFP4Part{Blocks: true, First: step[0], Step: step[1]}.Unpack(rebuilt[0], x)
		MXFP4Part{Scales: true, First: step[0], Step: step[1]}.Unpack(rebuilt[1], x)
		if f == turned && (!bytes.Equal(rebuilt[0], b.Data) || !bytes.Equal(rebuilt[1], s.Data)) {
			t.Error("the way back differs")
		}
		if f == turned {
			clear(rebuilt[0])
			clear(rebuilt[1])
		}
	}
	s.Shape = []int{experts, rows, 1}
	if _, _, err := published(b, s, turned); err == nil {
		t.Error("blocks and scales of other shapes are accepted")
	}
}

// TestPublishedGPTOSS opens a directory with MXFP4 experts and plans its way back.
func TestPublishedGPTOSS(t *testing.T) {
	config, tensors := small("gpt_oss")
	config["num_local_experts"] = 2
	config["quantization_config"] = map[string]any{"quant_method": "mxfp4"}
	var kept []safetensors.Tensor
	for _, x := range tensors {
		at := slices.IndexFunc(kept, func(k safetensors.Tensor) bool { return k.Name == x.Name+"_blocks" || k.Name == x.Name })
		switch {
		case at >= 0:
		case strings.HasSuffix(x.Name, "experts.gate_up_proj") || strings.HasSuffix(x.Name, "experts.down_proj"):
			blocks := safetensors.Tensor{Name: x.Name + "_blocks", DType: "U8", Shape: []int{2, 4, 1, 16}, Data: make([]byte, 128)}
			scales := safetensors.Tensor{Name: x.Name + "_scales", DType: "U8", Shape: []int{2, 4, 1}, Data: make([]byte, 8)}
			kept = append(kept, blocks, scales)
		default:
			kept = append(kept, x)
		}
	}
	s := openDir(t, saveModel(t, config, kept, nil), "config.json")
	for name, shape := range map[string][]int{"blk.1.ffn_gate_exps.weight": {2, 2, 32}, "blk.0.ffn_down_exps.weight": {2, 4, 32}} {
		x, err := s.Tensor(name)
		if err != nil || x.DType != quant.MXFP4 || !slices.Equal(x.Shape, shape) {
			t.Errorf("%s is %v %v, %v", name, x.DType, x.Shape, err)
		}
	}
	e, err := NewExport(s, quant.F32)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]safetensors.Tensor{}
	for _, x := range e.Tensors {
		byName[x.Name] = x
	}
	for _, k := range kept {
		if x := byName[k.Name]; x.DType != k.DType || !slices.Equal(x.Shape, k.Shape) {
			t.Errorf("%s would be written as %s %v, want %s %v", k.Name, x.DType, x.Shape, k.DType, k.Shape)
		}
	}
	if len(e.Tensors) != len(kept) || !strings.Contains(string(e.Files["config.json"]), `"mxfp4"`) {
		t.Errorf("%d tensors, want %d; config %s", len(e.Tensors), len(kept), e.Files["config.json"])
	}
}

func TestExportRefuses(t *testing.T) {
	s := openDir(t, goldens(t)[0], "config.json")
	m := s.Meta().Clone()
	m.Set("general.architecture", "mamba")
	if _, err := NewExport(withMeta{s, m}, quant.F32); err == nil || !strings.Contains(err.Error(), "mamba") {
		t.Errorf("an unknown architecture gives %v", err)
	}
	m.Set("general.architecture", "gpt2")
	if _, err := NewExport(withMeta{s, m}, quant.F32); err == nil {
		t.Error("BERT's tensors make a GPT-2")
	}
}

type withMeta struct {
	quant.Source
	meta *quant.Meta
}

func (w withMeta) Meta() *quant.Meta { return w.meta }

func TestSentencePieceRefused(t *testing.T) {
	m := &quant.Meta{}
	m.Set("tokenizer.ggml.model", "llama")
	m.Set("tokenizer.ggml.tokens", []string{"<unk>", "a"})
	m.Set("tokenizer.ggml.scores", []float32{0, -1})
	m.Set("tokenizer.ggml.token_type", []int32{2, 1})
	raw := sentencePiece(m)
	if s, err := parseSentencePiece(raw); err != nil || len(s.pieces) != 2 || s.kind != spBPE || s.bos != -1 {
		t.Fatalf("got %+v, %v", s, err)
	}
	for _, bad := range [][]byte{nil, raw[:3], raw[:len(raw)-1], {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, {0x0b}, bytes.Repeat([]byte{0xff}, 20)} {
		if _, err := parseSentencePiece(bad); err == nil {
			t.Errorf("%x is accepted", bad)
		}
	}
}

func FuzzSentencePiece(f *testing.F) {
	m := &quant.Meta{}
	m.Set("tokenizer.ggml.model", "t5")
	m.Set("tokenizer.ggml.tokens", []string{"<unk>", "a"})
	m.Set("tokenizer.ggml.scores", []float32{0, -1})
	m.Set("tokenizer.ggml.token_type", []int32{2, 1})
	f.Add(sentencePiece(m))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := parseSentencePiece(raw)
		if err != nil {
			return
		}
		m := &quant.Meta{}
		s.put(m)
		if len(m.Strings("tokenizer.ggml.tokens")) != len(s.pieces) {
			t.Fatal("tokens are lost")
		}
	})
}

// FuzzOpen opens directories with any config and tokenizer files around a small
// model's tensors.
func FuzzOpen(f *testing.F) {
	for _, x := range families {
		config, _ := small(x.modelType)
		config["rope_scaling"] = map[string]any{"rope_type": "yarn", "factor": 2, "original_max_position_embeddings": 16}
		config["sliding_window"] = 4
		raw, err := json.Marshal(config)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, []byte(tokenizerJSON), []byte(`{"bos_token":"<s>","add_bos_token":true,"eos_token_id":[1],"chat_template":[{"name":"default","template":"x"}]}`))
	}
	_, tensors := small("llama")
	dir := saveModel(f, nil, tensors, nil)
	f.Fuzz(func(t *testing.T, config, tokenizer, other []byte) {
		for name, text := range map[string][]byte{"config.json": config, "tokenizer.json": tokenizer, "tokenizer_config.json": other, "generation_config.json": other} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(dir)
		if err != nil {
			return
		}
		defer s.Close()
		for _, info := range s.Infos() {
			if x, err := s.Tensor(info.Name); err != nil || len(x.Data) != size(x) {
				t.Fatalf("%s: %d bytes, %v", info.Name, len(x.Data), err)
			}
		}
		// What a directory says can be said again, or is refused; it never panics.
		_, _ = NewExport(s, quant.F32)
	})
}
