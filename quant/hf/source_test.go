package hf

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// goldens lists the golden model directories.
func goldens(t testing.TB) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(quanttest.Shared(t, "data", "models", "golden", "arch"), "*"))
	if err != nil || len(dirs) != 20 {
		t.Fatalf("found %d golden models (%v), want 20", len(dirs), err)
	}
	return dirs
}

func openDir(t testing.TB, dir, configName string) *Source {
	t.Helper()
	s, err := openConfig(dir, configName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// layerNames are the tensors of one layer, by family: a name, then its shape in
// letters: d hidden, q heads x head size, k key-value heads x head size, h head size,
// f feed-forward, e experts, 3 for q+2k, 2 for 2f, n for heads.
var layerNames = map[string]string{
	"llama":       "attn_norm d attn_q qd attn_k kd attn_v kd attn_output dq ffn_norm d ffn_gate fd ffn_up fd ffn_down df",
	"qwen2":       "attn_norm d attn_q qd attn_q.bias q attn_k kd attn_k.bias k attn_v kd attn_v.bias k attn_output dq ffn_norm d ffn_gate fd ffn_up fd ffn_down df",
	"qwen3":       "attn_norm d attn_q qd attn_q_norm h attn_k kd attn_k_norm h attn_v kd attn_output dq ffn_norm d ffn_gate fd ffn_up fd ffn_down df",
	"gemma2":      "attn_norm d attn_q qd attn_k kd attn_v kd attn_output dq post_attention_norm d ffn_norm d ffn_gate fd ffn_up fd ffn_down df post_ffw_norm d",
	"gemma3_text": "attn_norm d attn_q qd attn_q_norm h attn_k kd attn_k_norm h attn_v kd attn_output dq post_attention_norm d ffn_norm d ffn_gate fd ffn_up fd ffn_down df post_ffw_norm d",
	"phi3":        "attn_norm d attn_qkv 3d attn_output dq ffn_norm d ffn_up 2d ffn_down df",
	"mixtral":     "attn_norm d attn_q qd attn_k kd attn_v kd attn_output dq ffn_norm d ffn_gate_inp ed ffn_gate_exps efd ffn_up_exps efd ffn_down_exps edf",
	"qwen3_moe":   "attn_norm d attn_q qd attn_q_norm h attn_k kd attn_k_norm h attn_v kd attn_output dq ffn_norm d ffn_gate_inp ed ffn_gate_exps efd ffn_up_exps efd ffn_down_exps edf",
	"gpt_oss": "attn_norm d attn_q qd attn_q.bias q attn_k kd attn_k.bias k attn_v kd attn_v.bias k attn_output dq attn_output.bias d attn_sinks n post_attention_norm d " +
		"ffn_gate_inp ed ffn_gate_inp.bias e ffn_gate_exps efd ffn_gate_exps.bias ef ffn_up_exps efd ffn_up_exps.bias ef ffn_down_exps edf ffn_down_exps.bias ed",
	"olmo2":    "attn_q qd attn_q_norm q attn_k kd attn_k_norm k attn_v kd attn_output dq post_attention_norm d ffn_gate fd ffn_up fd ffn_down df post_ffw_norm d",
	"gpt_neox": "attn_norm d attn_norm.bias d attn_qkv 3d attn_qkv.bias 3 attn_output dq attn_output.bias d ffn_norm d ffn_norm.bias d ffn_up fd ffn_up.bias f ffn_down df ffn_down.bias d",
	"gpt2":     "attn_norm d attn_norm.bias d attn_qkv 3d attn_qkv.bias 3 attn_output dq attn_output.bias d ffn_norm d ffn_norm.bias d ffn_up fd ffn_up.bias f ffn_down df ffn_down.bias d",
	"bert": "attn_q qd attn_q.bias q attn_k kd attn_k.bias k attn_v kd attn_v.bias k attn_output dq attn_output.bias d attn_output_norm d attn_output_norm.bias d " +
		"ffn_up fd ffn_up.bias f ffn_down df ffn_down.bias d layer_output_norm d layer_output_norm.bias d",
}

func init() {
	for _, same := range []string{"mistral", "smollm3", "granite"} {
		layerNames[same] = layerNames["llama"]
	}
}

// endNames are the tensors outside the layers; v is the vocabulary, c the context.
func endNames(name, modelType string, tied bool) string {
	s := "token_embd vd output_norm d"
	switch modelType {
	case "gpt2":
		s += " output_norm.bias d position_embd cd"
	case "gpt_neox":
		s += " output_norm.bias d"
	case "bert":
		s = "token_embd vd position_embd cd token_types td token_embd_norm d token_embd_norm.bias d"
	}
	switch name {
	case "llama-reward":
		return s + " cls.output 1d"
	case "llama3-rope":
		s += " rope_freqs r"
	}
	if !tied {
		s += " output vd"
	}
	return s
}

// shapes expands a list of names and letters.
func shapes(list, prefix string, size map[rune]int, into map[string][]int) {
	words := strings.Fields(list)
	for i := 0; i < len(words); i += 2 {
		name, shape := prefix+words[i], []int{}
		if !strings.HasSuffix(name, ".bias") {
			name += ".weight"
		}
		for _, r := range words[i+1] {
			shape = append(shape, size[r])
		}
		into[name] = shape
	}
}

func TestGoldenShapes(t *testing.T) {
	for _, dir := range goldens(t) {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			c, err := readConfig(filepath.Join(dir, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			d := c.count("hidden_size", c.count("n_embd", 0))
			heads := c.count("num_attention_heads", c.count("n_head", 0))
			head := c.count("head_dim", d/heads)
			kv := c.count("num_key_value_heads", heads)
			ff := c.count("moe_intermediate_size", c.count("intermediate_size", c.count("n_inner", 0)))
			size := map[rune]int{
				'd': d, 'q': heads * head, 'k': kv * head, 'h': head, 'f': ff, '2': 2 * ff, '3': (heads + 2*kv) * head, 'n': heads,
				'e': c.count("num_local_experts", 0), 'v': c.count("vocab_size", 0), 'c': c.count("max_position_embeddings", c.count("n_positions", 0)),
				't': 2, '1': 1, 'r': head / 2,
			}
			modelType := c.text("model_type", "")
			want := map[string][]int{}
			shapes(endNames(name, modelType, c.flag("tie_word_embeddings", false)), "", size, want)
			for l := range c.count("num_hidden_layers", c.count("n_layer", 0)) {
				shapes(layerNames[modelType], fmt.Sprintf("blk.%d.", l), size, want)
			}
			checkTensors(t, openDir(t, dir, "config.json"), want)
		})
	}
}

func checkTensors(t *testing.T, s *Source, want map[string][]int) {
	t.Helper()
	for _, info := range s.Infos() {
		if !reflect.DeepEqual(info.Shape, want[info.Name]) {
			t.Errorf("%s has shape %v, want %v", info.Name, info.Shape, want[info.Name])
		}
		delete(want, info.Name)
		x, err := s.Tensor(info.Name)
		if err != nil || len(x.Data) != size(x) {
			t.Errorf("%s: %d bytes, %v", info.Name, len(x.Data), err)
			continue
		}
		if vector := len(x.Shape) == 1; vector && x.DType != quant.F32 {
			t.Errorf("%s has type %v", info.Name, x.DType)
		}
		once, err := s.Once(info.Name, func(n int) ([]byte, error) { return make([]byte, n), nil })
		if err != nil || !reflect.DeepEqual(once, x) {
			t.Errorf("%s: Once gives another tensor (%v)", info.Name, err)
		}
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
	if _, err := s.Tensor("absent"); !errors.Is(err, quant.ErrNoTensor) {
		t.Errorf("an absent tensor gives %v", err)
	}
}

// TestBothConfigForms: transformers 5's config.json and the form of published
// checkpoints say the same.
func TestBothConfigForms(t *testing.T) {
	for _, dir := range goldens(t) {
		now, old := openDir(t, dir, "config.json").Meta(), openDir(t, dir, "config.v4.json").Meta()
		if !reflect.DeepEqual(now, old) {
			t.Errorf("%s: %v\nfrom the older form: %v", filepath.Base(dir), dump(now), dump(old))
		}
	}
}

func dump(m *quant.Meta) string {
	var b strings.Builder
	for _, k := range m.Keys() {
		if k != tokenizerKey {
			fmt.Fprintf(&b, "%s=%v ", k, m.Get(k))
		}
	}
	return b.String()
}
