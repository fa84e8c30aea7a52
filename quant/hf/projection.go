package hf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/relayout"
)

// Projection ties a matrix [Out, In] of a Source to the linear module of transformers'
// model that it belongs to, for what is made for single modules, such as adapters.
type Projection struct {
	Weight  string // GGUF's name: blk.0.attn_q.weight
	Module  string // transformers': model.layers.0.self_attn.q_proj
	Out, In int
	Conv1D  bool // the module keeps its weight turned, as GPT-2's do (PEFT: fan_in_fan_out)
	dims    []int
	perm    []int // of dims: the module's rows in the order of the Source's
}

// Rows returns the move of a matrix of cols columns whose rows are those of the module
// into the Source's order of rows.
func (p *Projection) Rows(cols int) relayout.Move {
	return relayout.Permute(append(slices.Clone(p.dims), cols), append(slices.Clone(p.perm), len(p.perm)))
}

// Projections lists the linear modules of a Source of one of our architectures, in the
// order of its layers, the output matrix last. Stacked experts are parameters, not modules.
func Projections(src quant.Source) ([]Projection, error) {
	f, err := familyOf(src.Meta())
	if err != nil {
		return nil, err
	}
	shapes := map[string][]int{}
	for _, t := range src.Infos() {
		shapes[t.Name] = t.Shape
	}
	x := exporter{meta: src.Meta(), family: f}
	m := model{layers: x.key("block_count"), heads: x.key("attention.head_count")}
	byLayer := make([][]Projection, m.layers+1)
	for _, r := range f.rules {
		for l := 0; r.isProjection() && l <= m.layers; l++ {
			p, ok, err := x.projection(r, l, m, shapes)
			if err != nil {
				return nil, err
			}
			if ok {
				byLayer[l] = append(byLayer[l], p)
			}
		}
	}
	return slices.Concat(byLayer...), nil
}

func (r rule) isProjection() bool {
	module := strings.HasPrefix(r.gguf, "blk.") || r.gguf == "output.weight"
	return module && strings.HasSuffix(r.hf, ".weight") && (r.form == same || r.form == turned || r.form == perHead)
}

// projection returns what rule r gives in layer l, beyond the last one outside of layers;
// nothing where that is no matrix.
func (x *exporter) projection(r rule, l int, m model, shapes map[string][]int) (p Projection, ok bool, err error) {
	if strings.Contains(r.gguf, "{l}") != (l < m.layers) {
		return p, false, nil
	}
	layer := strings.NewReplacer("{l}", fmt.Sprint(l))
	p.Weight, p.Module = layer.Replace(r.gguf), strings.TrimSuffix(layer.Replace(r.hf), ".weight")
	if before := prefixes[x.family.modelType]; len(before) > 0 {
		p.Module = before[0] + p.Module
	}
	shape := shapes[p.Weight]
	if len(shape) != 2 {
		return p, false, nil
	}
	p.Out, p.In, p.Conv1D = shape[0], shape[1], r.form == turned
	p.dims, p.perm, err = x.rowOrder(r.form, p.Weight, shape[0], m)
	return p, err == nil, err
}

// rowOrder describes how n rows of a module become the Source's.
func (x *exporter) rowOrder(f form, name string, n int, m model) (dims, perm []int, err error) {
	if f == perHead {
		if m.heads == 0 || n%(3*m.heads) != 0 {
			return nil, nil, fmt.Errorf("tensor %q has %d rows, which are not q, k and v of %d heads", name, n, m.heads)
		}
		return []int{m.heads, 3, n / 3 / m.heads}, []int{1, 0, 2}, nil
	}
	heads, err := x.rotaryHeads(name, n)
	if heads == 0 {
		return []int{n}, []int{0}, err
	}
	return []int{heads, 2, n / heads / 2}, []int{0, 2, 1}, nil
}
