package lora

import (
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/quant"
)

// merged is a Source whose adapted weights are F32 with the adapter added.
type merged struct {
	quant.Source
	adapter *Adapter
}

// Merge returns src with the adapter added to its weights, which become F32; a weight is
// made anew each time that it is asked for. It borrows src: closing it closes nothing. An
// adapter of another model is refused.
func Merge(src quant.Source, a *Adapter) (quant.Source, error) {
	for _, p := range a.Parts {
		t, err := src.Tensor(p.Weight)
		if err != nil {
			return nil, fmt.Errorf("cannot merge the adapter: %w", err)
		}
		if t.Rows() != p.Out || t.Cols() != p.In || !quant.CanDequantize(t.DType) {
			return nil, fmt.Errorf("cannot merge the adapter of %q, %d outputs and %d inputs, into %v of shape %v", p.Weight, p.Out, p.In, t.DType, t.Shape)
		}
	}
	return merged{src, a}, nil
}

// Close implements quant.Source.
func (m merged) Close() error { return nil }

// Infos implements quant.Source.
func (m merged) Infos() []quant.Tensor {
	out := m.Source.Infos()
	for i := range out {
		if m.adapter.Part(out[i].Name) != nil {
			out[i].DType = quant.F32
		}
	}
	return out
}

// Tensor implements quant.Source.
func (m merged) Tensor(name string) (quant.Tensor, error) {
	t, err := m.Source.Tensor(name)
	p := m.adapter.Part(name)
	if err != nil || p == nil {
		return t, err
	}
	sum := make([]float32, t.Elems())
	quant.Dequantize(t.DType, sum, t.Data)
	p.addTo(sum)
	out := make([]byte, 4*len(sum))
	t.DType, t.Data = quant.F32, out
	return t, quant.Quantize(quant.F32, out, sum, nil)
}

// addTo adds Scale * B A to w [Out, In], and brings its rows to their Magnitude.
func (p *Part) addTo(w []float32) {
	for o := range p.Out {
		row := w[o*p.In:][:p.In]
		for r := range p.Rank {
			f := p.Scale * p.B[o*p.Rank+r]
			for i, v := range p.A[r*p.In:][:p.In] {
				row[i] += f * v
			}
		}
		if p.Magnitude != nil {
			stretch(row, p.Magnitude[o])
		}
	}
}

// stretch brings row to a length; one of zeros, which counts as one of length 1, stays.
func stretch(row []float32, length float32) {
	var squares float64
	for _, v := range row {
		squares += float64(v) * float64(v)
	}
	if squares == 0 {
		return
	}
	f := float64(length) / math.Sqrt(squares)
	for i, v := range row {
		row[i] = float32(f * float64(v))
	}
}
