// Package lora holds low-rank adapters (LoRA: Hu et al. 2021): what a matrix W [Out, In]
// of a model gains is Scale * B A with A [rank, In] and B [Out, rank]; with DoRA (Liu et al.
// 2024) each row of the sum is then brought to a length of its own. It reads and writes
// PEFT's folders (adapter_config.json, adapter_model.safetensors), puts several adapters
// side by side for one program (Stack), and adds one to the weights for good (Merge).
//
// In memory an adapter's names and rows are those of a quant.Source, GGUF's; PEFT's names
// and order of rows exist in its folders only.
package lora

import (
	"fmt"
	"math"
	"slices"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/hf"
)

// Adapter is what some weights of a model gain. It does not change once it serves.
type Adapter struct {
	Config
	Parts []Part // by weight, in the order of the model's layers
}

// Config is what PEFT calls r, lora_alpha, use_rslora and use_dora.
type Config struct {
	Rank  int
	Alpha float64
	// RSLoRA: the scale is Alpha / sqrt(rank) instead of Alpha / rank (Kalajdzievski 2023).
	RSLoRA bool
	DoRA   bool // parts have magnitudes
}

// Scale returns what B A is multiplied by.
func (c Config) Scale() float32 {
	if c.RSLoRA {
		return float32(c.Alpha / math.Sqrt(float64(c.Rank)))
	}
	return float32(c.Alpha / float64(c.Rank))
}

// Part is an adapter's share in one weight.
type Part struct {
	hf.Projection
	Rank  int
	Scale float32
	A     []float32 // [Rank, In]
	B     []float32 // [Out, Rank], rows in the Source's order
	// Magnitude [Out] is the length of each row of W + Scale * B A (DoRA); nil without.
	Magnitude []float32
}

// Part returns the share of a weight, nil where it has none.
func (a *Adapter) Part(weight string) *Part {
	if i := slices.IndexFunc(a.Parts, func(p Part) bool { return p.Weight == weight }); i >= 0 {
		return &a.Parts[i]
	}
	return nil
}

// Elems returns the number of elements of all parts.
func (a *Adapter) Elems() (n int) {
	for _, p := range a.Parts {
		n += len(p.A) + len(p.B) + len(p.Magnitude)
	}
	return n
}

// DType returns the type in which A and B meet activations beside a weight of type w:
// F32 beside F32, else BF16. An adapter trains in it and serves in it.
func DType(w quant.DType) quant.DType {
	if w == quant.F32 {
		return quant.F32
	}
	return quant.BF16
}

// check returns an error that names the first part that does not fit its weight.
func (p *Part) check() error {
	if p.Magnitude != nil && len(p.Magnitude) != p.Out {
		return fmt.Errorf("the adapter of %q has %d magnitudes for %d outputs", p.Module, len(p.Magnitude), p.Out)
	}
	if p.Rank < 1 || len(p.A) != p.Rank*p.In || len(p.B) != p.Out*p.Rank {
		return fmt.Errorf("the adapter of %q has rank %d, %d elements of A and %d of B, which do not fit %d outputs and %d inputs",
			p.Module, p.Rank, len(p.A), len(p.B), p.Out, p.In)
	}
	return nil
}
