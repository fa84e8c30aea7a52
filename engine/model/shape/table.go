package shape

import (
	"fmt"
	"strings"
)

// table has the figures of published models' config.json, smallest first, and of the
// models that training is measured with.
var table = []Shape{
	{Name: "llama-7m", Arch: "llama", Layers: 8, Dim: 256, FF: 688, Heads: 8, KVHeads: 4, HeadDim: 32, Vocab: 4096, Context: 512, RopeBase: 1e4, Tied: true},
	{Name: "llama-15m", Arch: "llama", Layers: 6, Dim: 288, FF: 768, Heads: 6, KVHeads: 6, HeadDim: 48, Vocab: 32000, Context: 256, RopeBase: 1e4, Tied: true},
	{Name: "llama-30m", Arch: "llama", Layers: 8, Dim: 512, FF: 1376, Heads: 8, KVHeads: 8, HeadDim: 64, Vocab: 8192, Context: 512, RopeBase: 1e4, Tied: true},
	{Name: "gpt2-124m", Arch: "gpt2", Layers: 12, Dim: 768, FF: 3072, Heads: 12, KVHeads: 12, HeadDim: 64, Vocab: 50257, Context: 1024, Tied: true},
	{Name: "smol-135m", Arch: "llama", Layers: 30, Dim: 576, FF: 1536, Heads: 9, KVHeads: 3, HeadDim: 64, Vocab: 49152, Context: 8192, RopeBase: 1e5, Tied: true},
	{Name: "qwen3-0.6b", Arch: "qwen3", Layers: 28, Dim: 1024, FF: 3072, Heads: 16, KVHeads: 8, HeadDim: 128, Vocab: 151936, Context: 40960, RopeBase: 1e6, Tied: true},
	{Name: "tinyllama-1.1b", Arch: "llama", Layers: 22, Dim: 2048, FF: 5632, Heads: 32, KVHeads: 4, HeadDim: 64, Vocab: 32000, Context: 2048, RopeBase: 1e4},
	{Name: "llama-1b", Arch: "llama", Layers: 16, Dim: 2048, FF: 8192, Heads: 32, KVHeads: 8, HeadDim: 64, Vocab: 128256, Context: 131072, RopeBase: 5e5, Tied: true},
	{Name: "qwen2-1.5b", Arch: "qwen2", Layers: 28, Dim: 1536, FF: 8960, Heads: 12, KVHeads: 2, HeadDim: 128, Vocab: 151936, Context: 32768, RopeBase: 1e6, Tied: true},
	{Name: "llama-3b", Arch: "llama", Layers: 28, Dim: 3072, FF: 8192, Heads: 24, KVHeads: 8, HeadDim: 128, Vocab: 128256, Context: 131072, RopeBase: 5e5, Tied: true},
	{Name: "llama-8b", Arch: "llama", Layers: 32, Dim: 4096, FF: 14336, Heads: 32, KVHeads: 8, HeadDim: 128, Vocab: 128256, Context: 131072, RopeBase: 5e5},
	{Name: "qwen3-30b-a3b", Arch: "qwen3moe", Layers: 48, Dim: 2048, FF: 6144, Heads: 32, KVHeads: 4, HeadDim: 128, Vocab: 151936, Context: 40960, RopeBase: 1e6, Experts: 128, ExpertsUsed: 8, ExpertFF: 768},
}

// presets are small models to train from nothing on a few cores. Qwen 3's norms of
// queries and keys keep attention bounded under Muon's large steps.
var presets = []Shape{
	{Name: "nano", Arch: "qwen3", Layers: 4, Dim: 128, FF: 352, Heads: 4, KVHeads: 2, HeadDim: 32, Vocab: 4096, Context: 256, RopeBase: 1e4, Tied: true},
	{Name: "mini", Arch: "qwen3", Layers: 6, Dim: 256, FF: 704, Heads: 8, KVHeads: 4, HeadDim: 32, Vocab: 4096, Context: 512, RopeBase: 1e4, Tied: true},
	{Name: "small", Arch: "qwen3", Layers: 8, Dim: 384, FF: 1024, Heads: 6, KVHeads: 2, HeadDim: 64, Vocab: 8192, Context: 512, RopeBase: 1e4, Tied: true},
}

// All returns the known models, smallest first; callers must not change it.
func All() []Shape { return table }

// Presets returns the small models to train, smallest first; callers must not change it.
func Presets() []Shape { return presets }

// Names lists shapes for a message.
func Names(shapes []Shape) string {
	var names []string
	for _, s := range shapes {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// Find returns the shape of a model or preset by its name.
func Find(name string) (Shape, error) {
	for _, list := range [][]Shape{table, presets} {
		for _, s := range list {
			if s.Name == name {
				return s, nil
			}
		}
	}
	return Shape{}, fmt.Errorf("unknown shape %q: known are %s, and the presets %s", name, Names(table), Names(presets))
}
