package optim

import (
	"fmt"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/train/param"
)

// Average is the exponential moving average of a Set's masters (Polyak & Juditsky 1992):
// after step t, from 1, a = a + (1 - d) (w - a) with d = min(Decay, (1+t)/(10+t)), so that
// the first steps do not hold it back. One goroutine; Close frees it.
type Average struct {
	Decay float64

	set    *param.Set
	values map[*param.Param][]float32
	order  []*param.Param
	buf    *kernels.Buf
}

// NewAverage returns the average of the set as it is.
func NewAverage(set *param.Set, decay float64) (*Average, error) {
	a := &Average{Decay: decay, set: set, values: map[*param.Param][]float32{}}
	total := 0
	for _, p := range set.Params() {
		if !p.Frozen() {
			a.order = append(a.order, p)
			total += aligned(p.Elems())
		}
	}
	var err error
	if a.buf, err = kernels.NewBuf(4 * total); err != nil {
		return nil, fmt.Errorf("the average of %d elements: %w", total, err)
	}
	all := a.buf.Floats()
	for _, p := range a.order {
		a.values[p] = all[:p.Elems()]
		copy(a.values[p], p.Master)
		all = all[aligned(p.Elems()):]
	}
	return a, nil
}

// Close frees the memory.
func (a *Average) Close() { a.buf.Free() }

// Of returns the average of a parameter, in memory that lives until Close.
func (a *Average) Of(p *param.Param) []float32 { return a.values[p] }

// Follow takes in the masters after a step.
func (a *Average) Follow(step int) {
	t := float64(step)
	rest := float32(1 - min(a.Decay, (1+t)/(10+t)))
	for _, p := range a.order {
		values := a.values[p]
		inParts(len(values), func(from, to int) {
			for i := from; i < to; i++ {
				values[i] += float32(rest * (p.Master[i] - values[i]))
			}
		})
	}
}

// State calls f with the name and the memory of every part.
func (a *Average) State(f func(name string, values []float32)) {
	for _, p := range a.order {
		f("ema."+p.Name, a.values[p])
	}
}
