package calib

import (
	"context"
	"slices"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Importance is what llama.cpp calls an importance matrix: of each weight that a product
// reads, the sums of the squares of the columns of its input. They are the diagonal of the
// Hessian of the product's squared error: column j's rounding errors count as the mean of
// x_j^2.
type Importance struct {
	Tokens int // that were read
	sums   map[string][]float32
}

// Of returns the sums of the named weight: one for each of its columns, of stacked experts
// one row after another, zeros for an expert that no token went to; nil where no product
// reads the weight. They belong to the Importance.
func (m *Importance) Of(name string) []float32 { return m.sums[name] }

// Measure runs the model in src over the text, in windows of at most 512 tokens.
func Measure(ctx context.Context, src quant.Source, o Options) (*Importance, error) {
	r, err := o.open(src, model.Options{Observe: func(kernels.Tensor) kernels.Observation { return kernels.Squares }})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	m := &Importance{Tokens: r.tokens, sums: map[string][]float32{}}
	for name, sums := range r.Model.Program.Observed() {
		m.sums[name] = slices.Clone(sums)
	}
	return m, nil
}
