package train

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/train/param"
)

// estimate is what a run will take, before it starts.
type estimate struct {
	Parameters  int
	Tokens      int64   // of the run
	FLOPs       float64 // of a token, forward and backward
	Peak        float64 // FLOP/s of this machine in the run's precision
	State       int64   // bytes of parameters, gradients and moments
	Activations int64   // bytes, at most
	Copy        int64   // bytes that checkpoints are written from; 0 where there is no room
	Limit       int64   // bytes that the process may use
}

// usualShare is the share of the peak that training reaches on the machines it was
// measured on, for the estimate of time alone.
const usualShare = 0.6

// peakTime is how long the machine's peak is measured.
const peakTime = 50 * time.Millisecond

func (r *run) makeEstimate() estimate {
	c := r.pass.model.Config
	e := estimate{
		Parameters: r.set.Trainable(), Tokens: int64(r.steps) * int64(r.batches) * int64(min(r.micro, r.batchTokens)),
		FLOPs: tokenFLOPs(r.network, c.Layers, c.Heads*c.KDim, r.context),
	}
	bytes := int64(16) // master, gradient, two moments
	if r.set.Precision() == param.BF16 {
		bytes = 18
	}
	if r.average != nil {
		bytes += 4
	}
	e.State = bytes * int64(e.Parameters)
	if r.adapter != nil {
		for _, t := range r.source.Infos() {
			e.State += int64(t.Rows() * t.DType.RowBytes(t.Cols()))
		}
	}
	e.Activations = int64(r.pass.model.Program.Plan(r.pass.limits, r.table).ArenaBytes)
	if r.noise != nil {
		e.Activations += int64(4 * len(r.noise.values))
	}
	for _, a := range r.arrays() {
		e.Copy += 4 * int64(len(a.Values))
	}
	e.Limit, _ = engine.MemoryLimit("/")
	if e.Limit > 0 && e.State+e.Activations+e.Copy > e.Limit {
		e.Copy = 0
	}
	if p, err := r.lib.Measure(r.lib.Threads(), peakTime); err == nil {
		e.Peak = p.F32
		if r.set.Precision() == param.BF16 {
			e.Peak = max(p.F32, p.BF16, p.AMXBF16)
		}
	}
	return e
}

// tokenFLOPs returns the operations that training on a token takes: 6 for each parameter
// of a matrix product, 4 of one that is not trained, and the attention's 12 layers x width x context (Chowdhery et al.
// 2022, appendix B), as if every token saw the whole context.
func tokenFLOPs(n network, layers, width, context int) float64 {
	sum := 12 * float64(layers*width*context)
	if n.adapter != nil {
		sum += 6 * float64(n.set.Trainable())
	}
	tensors := n.source.Infos()
	untied := slices.ContainsFunc(tensors, func(t quant.Tensor) bool { return t.Name == "output.weight" })
	for _, t := range tensors {
		embedding := t.Name == "position_embd.weight" || t.Name == "token_embd.weight" && untied
		switch {
		case !param.IsMatrix(t) || embedding:
		case n.adapter != nil:
			sum += 4 * float64(t.Elems())
		default:
			sum += 6 * float64(t.Elems())
		}
	}
	return sum
}

// fits refuses a run that the memory cannot hold.
func (e *estimate) fits() error {
	if need := e.State + e.Activations; e.Limit > 0 && need > e.Limit {
		return fmt.Errorf("the run needs %s, but this process may use %s: a smaller --preset, fewer --micro-tokens or --recompute ffn or block take less",
			engine.Size(need), engine.Size(e.Limit))
	}
	return nil
}

// String shows the estimate in a few lines.
func (e estimate) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%.2f M parameters, %.1f M tokens (%.1f for each parameter)\n", float64(e.Parameters)/1e6, float64(e.Tokens)/1e6, float64(e.Tokens)/float64(e.Parameters))
	fmt.Fprintf(&s, "memory: %s of parameters, gradients and moments, up to %s of activations, ", engine.Size(e.State), engine.Size(e.Activations))
	if e.Copy > 0 {
		fmt.Fprintf(&s, "%s to save from\n", engine.Size(e.Copy))
	} else {
		s.WriteString("none left to save from: training waits for its checkpoints\n")
	}
	work := e.FLOPs * float64(e.Tokens)
	fmt.Fprintf(&s, "work: %.3g FLOP", work)
	if e.Peak > 0 {
		took := time.Duration(work / (usualShare * e.Peak) * float64(time.Second))
		fmt.Fprintf(&s, ", about %v at %.0f %% of this machine's %.0f GFLOP/s", took.Round(time.Second), 100*usualShare, e.Peak/1e9)
	}
	return s.String() + "\n"
}
