package engine

import (
	"time"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/engine/sched"
)

// autoStep is how long a step may take others' tokens off, where no other bound is set.
const autoStep = 75 * time.Millisecond

// pace learns from the steps what they cost on this machine, so that the scheduler can
// keep to a bound. The loop owns it.
//
// The forecast is linear: a step takes cost[i] picoseconds for each unit of load[i]. After
// a step each cost is corrected by the share that it had in the forecast, as the method of
// Kaczmarz does it, but by factors, so that no cost ever falls to zero. What one step
// cannot tell apart it leaves in the proportion that it was in. The first steps touch
// memory for the first time: their errors are taken for the machine's speed.
type pace struct {
	bound   time.Duration // of steps that hold others up; 0 = autoStep, or as long again as they take anyway
	cost    load          // picoseconds
	decodes float64       // rows, in the last step
	steps   int           // observed
}

const picoseconds = 1000 // of a time.Duration's unit

// load is what a step has to do: 1, decoding rows, rows of prompts, and the keys that
// those see.
type load [4]float64

// newPace starts from proportions that are about right for a processor of few cores: to
// read the weights takes as long as to compute 10 rows, and at 1,500 keys attention is
// half of a row's work.
func newPace(bound time.Duration) pace {
	return pace{bound: bound, cost: load{10, 1.5, 1, 1. / 1500}}
}

// loadOf returns what a batch has to do.
func loadOf(b *batch.Batch) load {
	x := load{1}
	for i, keys := range b.SeqLen {
		n := float64(b.RowStart[i+1] - b.RowStart[i])
		if n == 1 {
			x[1]++
			continue
		}
		x[2] += n
		x[3] += n*float64(keys) - n*(n-1)/2
	}
	return x
}

const (
	// learning is the part of a forecast's error that is corrected at once: with a half a
	// change of the machine's speed is followed within a few steps.
	learning = 0.5
	// firstSteps is for how many steps the proportions of newPace are left alone.
	firstSteps = 8
	// known is how much less a step with prompts tells of the costs that those without tell
	// of alone.
	known = 0.2
	// A step that took very much longer or shorter met with something else, so errors count
	// up to these parts of the forecast.
	leastError, mostError = -0.75, 1
	// aim is the part of the bound that steps are planned for; the rest is for what the
	// forecast misses.
	aim = 0.9
)

// observe learns from a step of load x.
func (p *pace) observe(x load, took time.Duration) {
	p.decodes = x[1]
	doubt := load{1, 1, 1, 1}
	if x[2] > 0 {
		doubt[0], doubt[1] = known, known
	}
	forecast, squares := 0.0, 0.0
	for i := range x {
		part := p.cost[i] * x[i]
		forecast += part
		squares += doubt[i] * part * part
	}
	wrong := float64(took)*picoseconds/forecast - 1
	if p.steps > 0 {
		wrong = learning * min(max(wrong, leastError), mostError)
	}
	for i := range p.cost {
		share := 1.
		if p.steps >= firstSteps {
			share = doubt[i] * p.cost[i] * x[i] * forecast / squares
		}
		p.cost[i] *= 1 + wrong*share
	}
	p.steps++
}

// price returns what the next steps cost in picoseconds, and may cost.
func (p *pace) price() sched.Price {
	if p.steps == 0 {
		return sched.Price{}
	}
	bound := float64(p.bound) * picoseconds
	if bound == 0 {
		bound = max(float64(autoStep)*picoseconds, 2*(p.cost[0]+p.decodes*p.cost[1]))
	}
	return sched.Price{
		Limit: int64(bound * aim), Step: int64(p.cost[0]), Decode: int64(p.cost[1]), Prompt: int64(p.cost[2]), Key: int64(p.cost[3]),
	}
}
