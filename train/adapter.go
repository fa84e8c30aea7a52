package train

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/hf"
	"github.com/ingot-llm/ingot/train/param"
)

// allLinear as a target means every linear module of the layers but routers of experts.
const allLinear = "all-linear"

// loraOptions say how an adapter is trained; rank 0: not at all.
type loraOptions struct {
	lora.Config
	targets []string // allLinear, or the last parts of modules' names
}

// adapter is a low-rank adapter whose A, B and magnitudes are the parameters of set, under
// the names of their weights with .lora_a, .lora_b and .lora_m. Ranks are padded with zeros there
// (lora.PaddedRank): their gradients are zero, so they stay so.
type adapter struct {
	lora.Config
	set     *param.Set
	targets map[string]hf.Projection // by weight
	order   []string
}

// newAdapter returns an adapter over base that changes nothing yet: A is uniform within
// 1/sqrt(inputs), as PEFT starts it (Kaiming), B zero, and the magnitudes are the lengths
// of the weights' rows, which table computes.
func newAdapter(base quant.Source, o loraOptions, table *kernels.Table, seed uint64) (*adapter, error) {
	a := &adapter{Config: o.Config, targets: map[string]hf.Projection{}}
	projections, err := hf.Projections(base)
	if err != nil {
		return nil, err
	}
	for _, p := range projections {
		if targeted(p, o.targets) {
			a.order, a.targets[p.Weight] = append(a.order, p.Weight), p
		}
	}
	if len(a.order) == 0 {
		return nil, fmt.Errorf("no linear module of the model is called %s: it has %s", strings.Join(o.targets, " or "), strings.Join(moduleNames(projections), ", "))
	}
	precision, err := a.precision(base)
	if err != nil {
		return nil, err
	}
	if a.set, err = param.New(base.Meta(), a.infos(), precision); err != nil {
		return nil, err
	}
	a.init(seed)
	if err := a.initMagnitudes(base, table); err != nil {
		return nil, errors.Join(err, a.set.Close())
	}
	return a, nil
}

func targeted(p hf.Projection, targets []string) bool {
	if slices.Contains(targets, allLinear) {
		return strings.HasPrefix(p.Weight, "blk.") && !strings.Contains(p.Weight, "ffn_gate_inp")
	}
	return slices.Contains(targets, lastPart(p.Module))
}

func lastPart(module string) string { return module[strings.LastIndexByte(module, '.')+1:] }

// moduleNames lists the last parts of modules' names, each once.
func moduleNames(projections []hf.Projection) (names []string) {
	for _, p := range projections {
		if n := lastPart(p.Module); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// precision returns what A and B are computed in, which the weights beside them decide.
func (a *adapter) precision(base quant.Source) (param.Precision, error) {
	var first quant.Tensor
	for _, t := range base.Infos() {
		if _, ok := a.targets[t.Name]; !ok {
			continue
		}
		if first.Name == "" {
			first = t
		}
		if lora.DType(t.DType) != lora.DType(first.DType) {
			return 0, fmt.Errorf("%s is %v but %s is %v: an adapter over both would be computed in two precisions; leave one out (--lora-target)", first.Name, first.DType, t.Name, t.DType)
		}
	}
	return param.Precision(lora.DType(first.DType)), nil
}

func (a *adapter) infos() (infos []quant.Tensor) {
	rank := lora.PaddedRank(a.Rank)
	for _, w := range a.order {
		p := a.targets[w]
		infos = append(infos, quant.Tensor{Name: nameA(w), Shape: []int{rank, p.In}}, quant.Tensor{Name: nameB(w), Shape: []int{p.Out, rank}})
		if a.DoRA {
			infos = append(infos, quant.Tensor{Name: nameM(w), Shape: []int{p.Out}})
		}
	}
	return infos
}

func nameA(weight string) string { return weight + ".lora_a" }
func nameB(weight string) string { return weight + ".lora_b" }
func nameM(weight string) string { return weight + ".lora_m" }

func (a *adapter) init(seed uint64) {
	for _, w := range a.order {
		h := fnv.New64a()
		h.Write([]byte(w))
		random := rand.New(rand.NewPCG(seed, h.Sum64()))
		p, in := a.set.Param(nameA(w)), a.targets[w].In
		bound := 1 / math.Sqrt(float64(in))
		for i := range p.Master[:a.Rank*in] {
			p.Master[i] = float32(bound * (2*random.Float64() - 1))
		}
		p.Round()
	}
}

// initMagnitudes gives the weights' rows, to which B adds nothing yet, their lengths.
func (a *adapter) initMagnitudes(base quant.Source, table *kernels.Table) error {
	if !a.DoRA {
		return nil
	}
	for _, name := range a.order {
		w, err := base.Tensor(name)
		if err != nil {
			return err
		}
		norms, err := lora.Norms(table, w, a.lowRank(w))
		if err != nil {
			return err
		}
		copy(a.set.Param(nameM(name)).Master, norms)
	}
	return nil
}

// lowRank returns the adapter of a weight, none of one that has no share.
func (a *adapter) lowRank(w kernels.Tensor) kernels.LowRank {
	if _, ok := a.targets[w.Name]; !ok {
		return kernels.LowRank{}
	}
	stacked := func(p *param.Param) quant.Tensor {
		t := p.Compute
		t.Shape = append([]int{1}, t.Shape...)
		return t
	}
	l := kernels.LowRank{A: stacked(a.set.Param(nameA(w.Name))), B: stacked(a.set.Param(nameB(w.Name))), Scale: []float32{a.Scale()}}
	if a.DoRA {
		l.Magnitude = stacked(a.set.Param(nameM(w.Name)))
	}
	return l
}

// snapshot returns the adapter as it is now, without the padding, in memory of its own.
func (a *adapter) snapshot() *lora.Adapter {
	out := &lora.Adapter{Config: a.Config}
	padded := lora.PaddedRank(a.Rank)
	for _, w := range a.order {
		p := lora.Part{Projection: a.targets[w], Rank: a.Rank, Scale: a.Scale(), A: slices.Clone(a.set.Param(nameA(w)).Master[:a.Rank*a.targets[w].In])}
		b := a.set.Param(nameB(w)).Master
		for o := range p.Out {
			p.B = append(p.B, b[o*padded:][:a.Rank]...)
		}
		if a.DoRA {
			p.Magnitude = slices.Clone(a.set.Param(nameM(w)).Master)
		}
		out.Parts = append(out.Parts, p)
	}
	return out
}
