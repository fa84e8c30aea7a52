package calib

import (
	"context"
	"fmt"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Products measures for weights the sums of x x^T over what they multiply, which
// quant.Feedback needs. A matrix of them is as large as the memory of its weight or more,
// so they are measured for some weights at a time: the model reads the text once for as
// many as fit. All are of the model as it is, not of one whose first layers are rounded
// already. One goroutine at a time.
type Products struct {
	src     quant.Source
	options Options
	most    int64          // bytes of sums at a time
	weights []quant.Tensor // that can be measured
	reader  *reader        // whose program holds the sums at hand
	at      map[string][]float32
	made    map[*float32]*quant.Feedback // of sums at hand
}

// NewProducts returns Products of the matrices that m has found to be multiplied (not of
// stacked experts), in the order in which they lie in src. most is about how many bytes
// the sums may take at a time. The caller closes it.
func NewProducts(src quant.Source, m *Importance, most int64, o Options) *Products {
	p := &Products{src: src, options: o, most: most}
	for _, t := range src.Infos() {
		if len(t.Shape) == 2 && t.Cols()%quant.FeedbackCols == 0 && len(m.Of(t.Name)) == t.Cols() {
			p.weights = append(p.weights, t)
		}
	}
	return p
}

// Feedback returns what rounds the named weight, nil for one that is not among those. It
// lets the model read the text where the weight is not at hand, and forgets those that were.
func (p *Products) Feedback(ctx context.Context, name string) (*quant.Feedback, error) {
	if p.at[name] == nil {
		if err := p.measure(ctx, name); err != nil {
			return nil, err
		}
	}
	sums := p.at[name]
	if sums == nil {
		return nil, nil
	}
	if f := p.made[&sums[0]]; f != nil {
		return f, nil
	}
	f, err := quant.NewFeedback(sums)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.made[&sums[0]] = f
	return f, nil
}

// measure runs the model for the named weight and those after it.
func (p *Products) measure(ctx context.Context, name string) (err error) {
	chosen := p.choose(name)
	if len(chosen) == 0 {
		return nil
	}
	p.Close()
	p.reader, err = p.options.open(p.src, model.Options{Observe: func(w kernels.Tensor) kernels.Observation {
		if chosen[w.Name] {
			return kernels.Products
		}
		return kernels.Nothing
	}})
	if err != nil {
		return err
	}
	if err := p.reader.read(ctx); err != nil {
		return err
	}
	p.at, p.made = p.reader.Model.Program.Observed(), map[*float32]*quant.Feedback{}
	return nil
}

// choose returns the named weight, with as many after it as fit; none where it is unknown.
func (p *Products) choose(name string) map[string]bool {
	chosen := map[string]bool{}
	left := p.most
	for _, t := range p.weights {
		if t.Name != name && len(chosen) == 0 {
			continue
		}
		if left -= 4 * int64(t.Cols()) * int64(t.Cols()); left < 0 && len(chosen) > 0 {
			break
		}
		chosen[t.Name] = true
	}
	return chosen
}

// Close frees the sums at hand. What Feedback has returned stays.
func (p *Products) Close() {
	if p.reader != nil {
		p.reader.Close()
	}
	p.reader, p.at, p.made = nil, nil, nil
}
