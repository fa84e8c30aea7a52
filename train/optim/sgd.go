package optim

import (
	"fmt"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/train/param"
)

// SGD is stochastic gradient descent with Nesterov's momentum, as PyTorch defines it
// (Sutskever et al. 2013). With the gradient g, clipped, and the step's share r of the
// peak rate,
//
//	b = Momentum b + g        w = w (1 - r Decay) - r (g + Momentum b)
//
// where only matrices decay. One goroutine; Close frees the state.
type SGD struct {
	Rate, Momentum, Decay, Clip float64

	steps   int
	set     *param.Set
	table   *kernels.Table
	momenta []momentum // by trained parameter
	trained []*param.Param
	buf     *kernels.Buf
}

// NewSGD returns an optimizer with the rate 0.1, momentum 0.9, no decay and clipping at 1.
func NewSGD(set *param.Set, table *kernels.Table) (*SGD, error) {
	o := &SGD{Rate: 0.1, Momentum: 0.9, Clip: 1, set: set, table: table}
	total := 0
	for _, p := range set.Params() {
		if !p.Frozen() {
			total += aligned(p.Elems())
		}
	}
	var err error
	if o.buf, err = kernels.NewBuf(4 * total); err != nil {
		return nil, fmt.Errorf("momentum of %d elements: %w", total, err)
	}
	all := o.buf.Floats()
	for _, p := range set.Params() {
		if !p.Frozen() {
			o.trained = append(o.trained, p)
			o.momenta = append(o.momenta, momentum{p.Name, all[:p.Elems()]})
			all = all[aligned(p.Elems()):]
		}
	}
	return o, nil
}

// Close frees the momentum.
func (o *SGD) Close() { o.buf.Free() }

// Norm returns the length of all gradients together, times scale.
func (o *SGD) Norm(scale float64) float64 { return gradientNorm(o.set, o.table, scale) }

// Step changes the parameters as AdamW's Step says. It never fails.
func (o *SGD) Step(share, scale, norm float64) error {
	scale = clipped(scale, norm, o.Clip)
	o.steps++
	for i, p := range o.trained {
		keep := 1.0
		if p.Matrix() {
			keep -= o.Rate * share * o.Decay
		}
		o.move(p, o.momenta[i].values, float32(scale), float32(keep), float32(o.Rate*share))
	}
	return nil
}

// move changes one parameter; its gradient becomes zero.
func (o *SGD) move(p *param.Param, momentum []float32, scale, keep, rate float32) {
	beta, rounded := float32(o.Momentum), p.Rounded()
	inParts(p.Elems(), func(from, to int) {
		for i := from; i < to; i++ {
			g := scale * p.Grad[i]
			momentum[i] = float32(beta*momentum[i]) + g
			p.Master[i] = float32(p.Master[i]*keep) - float32(rate*(g+float32(beta*momentum[i])))
		}
		clear(p.Grad[from:to])
		if rounded != nil {
			quant.F32sToBF16s(rounded[from:to], p.Master[from:to])
		}
	})
}

// State is the momentum.
func (o *SGD) State(f func(name string, values []float32)) {
	for _, b := range o.momenta {
		f("b."+b.name, b.values)
	}
}

// Steps returns how many were made; SetSteps is for going on.
func (o *SGD) Steps() int     { return o.steps }
func (o *SGD) SetSteps(n int) { o.steps = n }
