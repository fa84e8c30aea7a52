package train

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/optim"
	"github.com/ingot-llm/ingot/train/param"
)

// MeasureOptions are a model and the steps that Measure times.
type MeasureOptions struct {
	Shape     shape.Shape
	Seq       int // tokens of a sequence
	Batch     int // sequences of an optimizer step
	Micro     int // tokens of which gradients are computed at a time, at least Seq
	Precision param.Precision
	Recompute kernels.Recompute
	Steps     int // timed, after one that is not
	// Base, where it is given, has the shape and stays as it lies: an adapter of rank Rank on
	// all linear modules is trained. The caller closes it.
	Base quant.Source
	Rank int
}

// Measurement is what steps took.
type Measurement struct {
	Tokens  int           // of a step
	Step    time.Duration // the median
	FLOPs   float64       // of a token (tokenFLOPs)
	Profile []InstrTime   // of a step's gradients, by instruction
}

// InstrTime is the least time of one instruction, in all batches of a step.
type InstrTime struct {
	Name  string // operation and weight
	Nanos uint64
}

// Measure times whole optimizer steps of AdamW on random weights and tokens, with
// nothing around them. step, which may be nil, is told how many are done.
func Measure(ctx context.Context, table *kernels.Table, o MeasureOptions, step func(done int)) (m Measurement, err error) {
	n, err := o.network(table)
	if err != nil {
		return m, err
	}
	defer n.set.Close()
	adam, err := optim.NewAdamW(n.set, table)
	if err != nil {
		return m, err
	}
	defer adam.Close()
	rows := max(1, o.Micro/o.Seq)
	p, err := newPass(n, table, min(rows, o.Batch)*o.Seq, true, kernels.Training{Recompute: o.Recompute})
	if err != nil {
		return m, err
	}
	defer p.close()
	t := &timed{adam: adam, pass: p, batches: randomBatches(o, rows)}
	var times []time.Duration
	for i := range o.Steps + 1 {
		took, err := t.step()
		if err = firstError(err, ctx.Err()); err != nil {
			return m, err
		}
		if i > 0 {
			times = append(times, took)
		}
		if step != nil {
			step(i)
		}
	}
	m.Tokens, m.Step, m.FLOPs = o.Seq*o.Batch, median(times), tokenFLOPs(n, o.Shape.Layers, o.Shape.Heads*o.Shape.HeadDim, o.Seq)
	m.Profile, err = t.profile(o.Steps)
	return m, err
}

// network makes the parameters that are trained, from random values.
func (o *MeasureOptions) network(table *kernels.Table) (n network, err error) {
	if o.Base == nil {
		set, err := param.New(o.Shape.Meta(), o.Shape.Tensors(), o.Precision)
		if err != nil {
			return n, err
		}
		set.Init(1)
		return wholly(set), nil
	}
	a, err := newAdapter(o.Base, loraOptions{Config: lora.Config{Rank: o.Rank, Alpha: 16}, targets: []string{allLinear}}, table, 1)
	if err != nil {
		return n, err
	}
	return network{source: o.Base, set: a.set, adapter: a}, nil
}

// timed is an optimizer and a program with the batches of one step.
type timed struct {
	adam    *optim.AdamW
	pass    *pass
	batches [][]loader.Sequence
}

func (t *timed) step() (time.Duration, error) {
	start, targets := time.Now(), 0
	for _, b := range t.batches {
		r, err := t.pass.run(b)
		if err != nil {
			return 0, err
		}
		targets += r.Targets
	}
	scale := 1 / float64(targets)
	err := t.adam.Step(1, scale, t.adam.Norm(scale))
	return time.Since(start), err
}

// profile runs n more steps with every instruction timed; the least time of each counts,
// in which other programs have no part.
func (t *timed) profile(n int) (all []InstrTime, err error) {
	t.pass.runner.Profile(true)
	total := t.pass.runner.Nanos()
	least, before := slices.Repeat([]uint64{math.MaxUint64}, len(total)), make([]uint64, len(total))
	for range n {
		copy(before, total)
		if _, err := t.step(); err != nil {
			return nil, err
		}
		for i := range total {
			least[i] = min(least[i], total[i]-before[i])
		}
	}
	for i, nanos := range least {
		all = append(all, InstrTime{t.pass.model.Program.Describe(i), nanos})
	}
	return all, nil
}

// randomBatches makes a step's sequences in batches of up to rows.
func randomBatches(o MeasureOptions, rows int) (all [][]loader.Sequence) {
	random := rand.New(rand.NewPCG(1, 2))
	for done := 0; done < o.Batch; done += rows {
		var b []loader.Sequence
		for range min(rows, o.Batch-done) {
			s := loader.Sequence{Tokens: make([]int32, o.Seq), Targets: make([]int32, o.Seq)}
			for i := range s.Tokens {
				s.Tokens[i], s.Targets[i] = int32(random.IntN(o.Shape.Vocab)), int32(random.IntN(o.Shape.Vocab))
			}
			b = append(b, s)
		}
		all = append(all, b)
	}
	return all
}

// Check refuses what cannot be measured; the error names the figure.
func (o *MeasureOptions) Check() error {
	switch {
	case o.Seq < 2 || o.Batch < 1 || o.Steps < 1:
		return fmt.Errorf("%d steps of %d sequences of %d tokens cannot be measured", o.Steps, o.Batch, o.Seq)
	case o.Seq > o.Shape.Context:
		return fmt.Errorf("sequences of %d tokens are longer than the context of %s, %d", o.Seq, o.Shape.Name, o.Shape.Context)
	}
	return o.Shape.Check()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func median(times []time.Duration) time.Duration {
	sorted := append([]time.Duration(nil), times...)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
