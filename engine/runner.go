package engine

import (
	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/kernels"
)

// runner is the Model of a program bound to memory and a kernel table.
type runner struct {
	*kernels.Runner
	in kernels.Batch // the arrays of the batch at hand, in the kernels' terms
}

// Run computes the batch.
func (r *runner) Run(b *batch.Batch) error {
	r.in = kernels.Batch{
		Tokens: b.Tokens, Positions: b.Positions, Slots: b.Slots, RowStart: b.RowStart, SeqLen: b.SeqLen,
		TableStart: b.TableStart, Tables: b.Tables, LogitRows: b.LogitRows, Adapters: b.Adapters,
	}
	return r.Runner.Run(&r.in)
}

// Logits returns row i of the program's output.
func (r *runner) Logits(i int) []float32 {
	out, _, width := r.Output()
	return out[i*width : (i+1)*width]
}
