package param

import (
	"fmt"

	"github.com/ingot-llm/ingot/quant"
)

// Meta implements quant.Source.
func (s *Set) Meta() *quant.Meta { return s.meta }

// Infos implements quant.Source.
func (s *Set) Infos() []quant.Tensor {
	out := make([]quant.Tensor, len(s.params))
	for i, p := range s.params {
		out[i] = p.Compute
		out[i].Data = nil
	}
	return out
}

// Tensor implements quant.Source: what the program computes with. The memory stays the
// same over the Set's life, its contents follow the training.
func (s *Set) Tensor(name string) (quant.Tensor, error) {
	p := s.byName[name]
	if p == nil {
		return quant.Tensor{}, fmt.Errorf("%q: %w", name, quant.ErrNoTensor)
	}
	return p.Compute, nil
}

// Masters returns the model in full precision: a Source of F32 over the masters (frozen
// parameters as they lie), to write or to serve. Closing it closes nothing.
func (s *Set) Masters() quant.Source { return s.With(func(p *Param) []float32 { return p.Master }) }

// With returns the model in F32 with other values, such as an average of the masters:
// values gives each trained parameter's, valid as long as the Source is used. Closing it
// closes nothing.
func (s *Set) With(values func(*Param) []float32) quant.Source { return view{s, values} }

type view struct {
	*Set
	values func(*Param) []float32
}

func (v view) Infos() []quant.Tensor {
	out := v.Set.Infos()
	for i, p := range v.params {
		if !p.Frozen() {
			out[i].DType = quant.F32
		}
	}
	return out
}

func (v view) Tensor(name string) (quant.Tensor, error) {
	t, err := v.Set.Tensor(name)
	if p := v.byName[name]; err == nil && !p.Frozen() {
		t.DType, t.Data = quant.F32, bytesOf(v.values(p))
	}
	return t, err
}

func (v view) Close() error { return nil }
