// Package optim turns gradients into changes of parameters: AdamW in one native pass
// over memory, Muon for hidden matrices, SGD, an average of the parameters, clipping by the global norm, and schedules of the
// learning rate.
package optim

import (
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/train/param"
)

// AdamW is the optimizer of a Set's trainable parameters with its state in native memory.
// One goroutine; Close frees the state.
type AdamW struct {
	Rate              float64 // peak
	Beta1, Beta2, Eps float64
	Decay             float64 // of matrices; vectors have none
	Clip              float64 // largest norm of all gradients together, 0 = any

	steps   int // made so far
	set     *param.Set
	table   *kernels.Table
	moments []moments
	buf     *kernels.Buf
}

type moments struct {
	p    *param.Param
	m, v []float32
}

// NewAdamW returns an optimizer of all parameters with the rate 1e-3, Beta1 0.9, Beta2
// 0.95, Eps 1e-8, a decay of 0.1 and clipping at 1.
func NewAdamW(set *param.Set, table *kernels.Table) (*AdamW, error) {
	return newAdamW(set, table, func(*param.Param) bool { return true })
}

func newAdamW(set *param.Set, table *kernels.Table, mine func(p *param.Param) bool) (*AdamW, error) {
	o := &AdamW{Rate: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, Clip: 1, set: set, table: table}
	total := 0
	for _, p := range set.Params() {
		if !p.Frozen() && mine(p) {
			total += 2 * aligned(p.Elems())
		}
	}
	buf, err := kernels.NewBuf(4 * total)
	if err != nil {
		return nil, fmt.Errorf("moments of %d elements: %w", total/2, err)
	}
	o.buf = buf
	all := buf.Floats()
	for _, p := range set.Params() {
		if !p.Frozen() && mine(p) {
			n := aligned(p.Elems())
			o.moments = append(o.moments, moments{p, all[:p.Elems()], all[n:][:p.Elems()]})
			all = all[2*n:]
		}
	}
	return o, nil
}

// aligned rounds up to 64 bytes of f32.
func aligned(n int) int { return (n + 15) / 16 * 16 }

// Close frees the moments.
func (o *AdamW) Close() { o.buf.Free() }

// Norm returns the length of all gradients together, times scale.
func (o *AdamW) Norm(scale float64) float64 { return gradientNorm(o.set, o.table, scale) }

func gradientNorm(set *param.Set, table *kernels.Table, scale float64) float64 {
	return scale * math.Sqrt(table.SumSquares(set.Gradients()))
}

// clipped returns scale lowered so that a gradient of that norm is at most clip long; 0
// clips nothing.
func clipped(scale, norm, clip float64) float64 {
	if clip > 0 {
		scale *= min(1, clip/(norm+1e-6))
	}
	return scale
}

// Step changes the parameters by their gradients times scale, the norm of which is norm,
// at share of the peak rate, and leaves gradients of zero. It never fails.
func (o *AdamW) Step(share, scale, norm float64) error {
	scale = clipped(scale, norm, o.Clip)
	o.steps++
	for _, s := range o.moments {
		decay := 0.0
		if s.p.Matrix() {
			decay = o.Decay
		}
		o.table.AdamW(kernels.AdamW{
			Master: s.p.Master, M: s.m, V: s.v, Grad: s.p.Grad, Rounded: s.p.Rounded(),
			LR: o.Rate * share, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, Decay: decay, Scale: scale, Step: o.steps,
		})
	}
	return nil
}

// Steps returns how many were made; SetSteps is for going on.
func (o *AdamW) Steps() int     { return o.steps }
func (o *AdamW) SetSteps(n int) { o.steps = n }

// State calls f with the name and the memory of every part of the state, in a fixed
// order: for saving, and for loading into it.
func (o *AdamW) State(f func(name string, values []float32)) {
	for _, s := range o.moments {
		f("m."+s.p.Name, s.m)
		f("v."+s.p.Name, s.v)
	}
}
