package safetensors

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ingot-llm/ingot/quant"
)

// A File is a quant.Source whose names are the file's own.
var _ quant.Source = (*File)(nil)

// Meta implements quant.Source: the files' __metadata__ as strings.
func (f *File) Meta() *quant.Meta {
	m := &quant.Meta{}
	for _, k := range slices.Sorted(maps.Keys(f.metadata)) {
		m.Set(k, f.metadata[k])
	}
	return m
}

// Infos implements quant.Source; tensors of a type that quant lacks, scalars and
// empty tensors are left out.
func (f *File) Infos() []quant.Tensor {
	out := make([]quant.Tensor, 0, len(f.tensors))
	for _, t := range f.tensors {
		if q, err := t.Quant(t.Name); err == nil {
			q.Data = nil
			out = append(out, q)
		}
	}
	return out
}

// Tensor implements quant.Source.
func (f *File) Tensor(name string) (quant.Tensor, error) {
	t, ok := f.Lookup(name)
	if !ok {
		return quant.Tensor{}, fmt.Errorf("%w: %q", quant.ErrNoTensor, name)
	}
	return t.Quant(name)
}
