package bench

import (
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// operation is one that ingot bench kernels measures.
type operation struct {
	name string
	// types says what a case's type is that of.
	types typeOf
	// outs says that the operation has as many outputs as the shape says, not as many
	// as inputs.
	outs bool
	// after is how many instructions follow the measured one.
	after int
	// reads says that the operation reads memory enough to be bound by it.
	reads bool
	// decode says that every row is a sequence's last, not all of them one sequence's.
	decode bool
	build  func(c *kernelCase, b *kernels.Builder, w kernels.Tensor, layer int) kernels.Value
}

type typeOf uint8

const (
	noType typeOf = iota
	weightType
	cacheType
	packType
)

// The heads of attention and the experts are those of a model of the shape's width:
// heads of 64, four query heads to a KV head; eight experts, of which two are used.
const (
	headDim     = 64
	groupHeads  = 4
	experts     = 8
	expertsUsed = 2

	expertInputs = 8 // of the experts that make combine's input, which is not measured
)

var operations = []operation{
	{name: "linear", types: weightType, outs: true, reads: true, build: func(c *kernelCase, b *kernels.Builder, w kernels.Tensor, _ int) kernels.Value {
		return b.Linear(c.x(b), w, kernels.Tensor{})
	}},
	{name: "expert_linear", types: weightType, outs: true, reads: true, build: func(c *kernelCase, b *kernels.Builder, w kernels.Tensor, _ int) kernels.Value {
		w.Shape = []int{experts, c.outs / experts, c.cols}
		ids, _ := b.Route(c.narrow(b, experts), expertsUsed, true, 1)
		return b.ExpertLinear(c.x(b), ids, w, kernels.Tensor{})
	}},
	{name: "embed", types: weightType, build: func(_ *kernelCase, b *kernels.Builder, w kernels.Tensor, _ int) kernels.Value {
		return b.Embed(w, 1)
	}},
	{name: "attention_decode", types: cacheType, reads: true, decode: true, build: buildAttention},
	{name: "attention_prefill", types: cacheType, reads: true, build: buildAttention},
	{name: "store_kv", types: cacheType, after: 1, decode: true, build: buildAttention},
	{name: "pack", types: packType, after: 1, build: func(c *kernelCase, b *kernels.Builder, w kernels.Tensor, _ int) kernels.Value {
		return b.Linear(c.input(b), w, kernels.Tensor{})
	}},
	{name: "rms_norm", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		return b.RMSNorm(c.x(b), c.norm(), 0, 1e-5)
	}},
	{name: "layer_norm", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		return b.LayerNorm(c.x(b), c.norm(), c.norm(), 1e-5)
	}},
	{name: "rope_table", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, layer int) kernels.Value {
		inv := slices.Repeat([]float32{0.5}, headDim/2)
		inv[0] = 1 / float32(layer+1) // a Builder makes equal tables once
		return b.RopeTable(inv, 1)
	}},
	{name: "rope", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		table := b.RopeTable(slices.Repeat([]float32{0.5}, headDim/2), 1)
		return b.RoPE(c.x(b), table, c.cols/headDim, headDim, kernels.RopeHalf)
	}},
	{name: "act", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		return b.Act(c.x(b), kernels.SiLU)
	}},
	{name: "glu", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		return b.GLU(kernels.SiLU, c.x(b), c.x(b), 0, 0)
	}},
	{name: "add", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		return b.Add(c.x(b), c.x(b), 1)
	}},
	{name: "scale", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		return b.Scale(c.x(b), 0.5)
	}},
	{name: "softcap", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		return b.Softcap(c.x(b), 30)
	}},
	{name: "rows", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		return b.Rows(c.x(b))
	}},
	{name: "pool", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		return b.Pool(c.x(b), kernels.PoolMean)
	}},
	{name: "route", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		_, weights := b.Route(c.narrow(b, 128), experts, true, 1)
		return weights
	}},
	{name: "combine", build: func(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, _ int) kernels.Value {
		ids, weights := b.Route(c.narrow(b, experts), expertsUsed, true, 1)
		y := b.ExpertLinear(c.narrow(b, expertInputs), ids, randomTensor(experts, c.cols, expertInputs), kernels.Tensor{})
		return b.Combine(y, weights)
	}},
}

func buildAttention(c *kernelCase, b *kernels.Builder, _ kernels.Tensor, layer int) kernels.Value {
	heads := c.cols / headDim
	kv := b.View(c.x(b), 0, heads/groupHeads*headDim)
	return b.Attention(layer, c.x(b), kv, kv, kernels.AttentionArgs{
		Heads: heads, KVHeads: heads / groupHeads, KDim: headDim, VDim: headDim, Scale: 0.125,
	})
}

// typesOf returns the types to measure the operation with, of those that are asked for.
func (o *operation) typesOf(asked []quant.DType) []quant.DType {
	among := map[typeOf][]quant.DType{
		cacheType: {quant.F32, quant.BF16, quant.Q8_0},
		packType:  {kernels.PackBF16, kernels.PackInt8},
	}
	switch o.types {
	case weightType:
		return asked
	case cacheType:
		return slices.DeleteFunc(among[cacheType], func(d quant.DType) bool { return !slices.Contains(asked, d) })
	case packType:
		return among[packType]
	}
	return []quant.DType{quant.F32}
}

func operationNames() string {
	var names []string
	for _, o := range operations {
		names = append(names, o.name)
	}
	return strings.Join(names, ", ")
}

// findOperations returns the operations that names list, or whose name begins so:
// attention stands for both kinds.
func findOperations(names []string) (out []operation, err error) {
	for _, name := range names {
		n := len(out)
		for _, o := range operations {
			if name == "all" || o.name == name || strings.HasPrefix(o.name, name+"_") {
				out = append(out, o)
			}
		}
		if len(out) == n {
			return nil, cli.Usagef("--op: unknown operation %q: known are %s", name, operationNames())
		}
	}
	return out, nil
}
