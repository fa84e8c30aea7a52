package shape

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// TestParameters: every shape has as many parameters as its model was published with.
func TestParameters(t *testing.T) {
	published := map[string]float64{"llama-7m": 6.9e6, "llama-15m": 15.2e6, "llama-30m": 29.5e6, "gpt2-124m": 124.4e6, "smol-135m": 134.5e6,
		"qwen3-0.6b": 596e6, "tinyllama-1.1b": 1.1e9, "llama-1b": 1.236e9, "qwen2-1.5b": 1.544e9, "llama-3b": 3.21e9, "llama-8b": 8.03e9,
		"qwen3-30b-a3b": 30.5e9, "nano": 1.26e6, "mini": 5.5e6, "small": 15.7e6}
	for _, s := range slices.Concat(All(), Presets()) {
		if ratio := float64(s.Parameters()) / published[s.Name]; !(ratio > 0.99 && ratio < 1.01) {
			t.Errorf("%s has %d parameters, published are %.4g", s.Name, s.Parameters(), published[s.Name])
		}
	}
}

// TestTensors: for the figures of every family's golden model the list is the one in its
// file, whatever the order.
func TestTensors(t *testing.T) {
	seen := map[string]bool{}
	dirs, err := filepath.Glob(filepath.Join(quanttest.Shared(t, "data", "models", "golden", "arch"), "*"))
	if err != nil || len(dirs) == 0 {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		name := filepath.Base(dir)
		if name == "bert" || name == "llama-reward" {
			continue // an encoder and a classifier are not made from nothing
		}
		src, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		s := shapeOf(src)
		seen[s.Arch] = true
		if got, want := lines(s.Tensors()), lines(src.Infos()); !slices.Equal(got, want) {
			t.Errorf("%s has tensors\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	for arch := range layers {
		if !seen[arch] {
			t.Errorf("no golden has architecture %s", arch)
		}
	}
}

// shapeOf reads a model's figures.
func shapeOf(src quant.Source) Shape {
	m := src.Meta()
	arch := m.String("general.architecture", "")
	n := func(key string, def int) int { return m.Int(arch+"."+key, def) }
	has := func(name string) bool {
		return slices.ContainsFunc(src.Infos(), func(t quant.Tensor) bool { return t.Name == name })
	}
	heads := n("attention.head_count", 0)
	ff := n("feed_forward_length", 0)
	return Shape{
		Arch: arch, Layers: n("block_count", 0), Dim: n("embedding_length", 0), FF: ff,
		Heads: heads, KVHeads: n("attention.head_count_kv", heads), HeadDim: n("attention.key_length", n("embedding_length", 0)/heads),
		Vocab: n("vocab_size", 0), Context: n("context_length", 0), Tied: !has("output.weight"),
		Experts: n("expert_count", 0), ExpertsUsed: n("expert_used_count", 0), ExpertFF: n("expert_feed_forward_length", ff),
	}
}

func lines(infos []quant.Tensor) []string {
	var out []string
	for _, t := range infos {
		if !strings.HasPrefix(t.Name, "rope_f") { // computed, not trained
			out = append(out, fmt.Sprint(t.Name, t.Shape))
		}
	}
	slices.Sort(out)
	return out
}

// TestCheck: what no model can have is refused by the figure's name.
func TestCheck(t *testing.T) {
	for want, change := range map[string]func(*Shape){
		"architecture": func(s *Shape) { s.Arch = "rnn" },
		"0 layers":     func(s *Shape) { s.Layers = 0 },
		"multiple":     func(s *Shape) { s.KVHeads = 4 },
		"even":         func(s *Shape) { s.HeadDim = 47 },
		"feed-forward": func(s *Shape) { s.FF = 0 },
		"experts":      func(s *Shape) { s.Experts, s.ExpertFF = 2, 64 },
		"width 288":    func(s *Shape) { s.Arch, s.HeadDim = "olmo2", 64 },
		"one for each": func(s *Shape) { s.Arch, s.KVHeads = "gpt2", 3 },
	} {
		s, err := Find("llama-15m")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gives %v, want an error with %q", s, err, want)
		}
	}
	if _, err := Find("gpt5"); err == nil || !strings.Contains(err.Error(), "nano") {
		t.Errorf("an unknown name gives %v", err)
	}
}

// TestWith: every figure changes, and only it; an unknown one is named with the known.
func TestWith(t *testing.T) {
	base, err := Find("mini")
	if err != nil {
		t.Fatal(err)
	}
	s, err := base.With(map[string]int{"layers": 10, "width": 320, "heads": 10, "kv-heads": 5, "ffn": 880})
	want := base
	want.Layers, want.Dim, want.Heads, want.KVHeads, want.FF = 10, 320, 10, 5, 880
	if err != nil || s != want {
		t.Errorf("%+v, %v; want %+v", s, err, want)
	}
	if _, err := base.With(map[string]int{"depth": 3}); err == nil || !strings.Contains(err.Error(), "kv-heads") {
		t.Errorf("an unknown figure gives %v", err)
	}
}
