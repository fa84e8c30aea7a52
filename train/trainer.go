package train

import (
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/optim"
)

// Trainer trains a network on what a Loader gives. Its forward pass is the program that
// serves it; the gradient is derived from that. One goroutine.
type Trainer struct {
	network
	loader   *loader.Loader
	optim    optimizer
	schedule optim.Schedule
	average  *optim.Average // of the parameters, nil without
	spikes   spikes
	noise    *noise // of the embeddings, nil without
	batches  int    // of a step
	step     int    // steps made

	pass *pass
}

// optimizer is AdamW, Muon or SGD.
type optimizer interface {
	Norm(scale float64) float64
	Step(share, scale, norm float64) error
	State(f func(name string, values []float32))
	Steps() int
	SetSteps(n int)
	Close()
}

// StepResult is what one optimizer step did.
type StepResult struct {
	Step    int     `json:"step"` // from 1
	Loss    float64 `json:"loss"` // mean over the targets, in nats
	Norm    float64 `json:"grad_norm"`
	Share   float64 `json:"lr_share"` // of the peak rate
	Tokens  int     `json:"tokens"`
	Targets int     `json:"targets"`
	// Skipped: nothing was changed, and Reason says why; Loss and Norm are 0 if they were
	// not finite.
	Skipped bool   `json:"skipped,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// Step makes one optimizer step of several batches, whose targets all count alike.
func (t *Trainer) Step() (r StepResult, err error) {
	for i := range t.batches {
		sequences := t.loader.Next()
		if t.noise != nil {
			t.noise.draw(t.step, i, sequences)
		}
		b, err := t.pass.run(sequences)
		if err != nil {
			return r, err
		}
		r.Loss, r.Tokens, r.Targets = r.Loss+b.Loss, r.Tokens+b.Tokens, r.Targets+b.Targets
	}
	scale := 1 / float64(r.Targets)
	r.Loss *= scale
	r.Norm = t.optim.Norm(scale)
	t.step++
	r.Step, r.Share = t.step, t.schedule.At(t.step)
	if r.Reason = t.spikes.reason(r.Loss, r.Norm); r.Reason != "" {
		return t.skip(r)
	}
	t.spikes.made(r.Loss, r.Norm)
	if err := t.optim.Step(r.Share, scale, r.Norm); err != nil {
		return r, err
	}
	if t.average != nil {
		t.average.Follow(t.optim.Steps())
	}
	return r, t.set.Snap()
}

// skip leaves the parameters as they are.
func (t *Trainer) skip(r StepResult) (StepResult, error) {
	r.Skipped = true
	if !finite(r.Loss) || !finite(r.Norm) {
		r.Loss, r.Norm = 0, 0 // JSON has no NaN
	}
	t.set.ZeroGrad()
	return r, t.spikes.skipped(r.Reason)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// pass is a program of a network that gives losses, with its memory.
type pass struct {
	model  *model.Model
	runner *kernels.Runner
	batch  batch
	limits kernels.Limits
}

// newPass returns a pass over batches of tokens tokens, each cut into sequences of at
// least a few tokens. Gradients go to the network's set where learn is set.
func newPass(n network, table *kernels.Table, tokens int, learn bool, o kernels.Training) (*pass, error) {
	o.LogitRows = tokens
	o.Gradient = func(w kernels.Tensor) []float32 {
		if !learn {
			return nil
		}
		return n.set.Gradient(w.Name)
	}
	m, err := model.Load(n.source, model.Options{KV: n.kv(), Adapters: n.lowRank(), Train: &o})
	if err != nil {
		return nil, err
	}
	// A sequence has one token at least, and a block of its own.
	limits := kernels.Limits{Tokens: tokens, LogitRows: tokens, Seqs: tokens, Blocks: tokens}
	r, err := kernels.NewRunner(m.Program, table, limits)
	if err != nil {
		m.Program.Close()
		return nil, fmt.Errorf("cannot train with batches of %d tokens: %w", tokens, err)
	}
	return &pass{model: m, runner: r, limits: limits}, nil
}

func (p *pass) close() {
	p.runner.Close()
	p.model.Program.Close()
}

// run returns the summed loss and the counts of a batch.
func (p *pass) run(sequences []loader.Sequence) (r StepResult, err error) {
	p.batch.reset()
	for _, s := range sequences {
		p.batch.add(s)
	}
	if err := p.runner.Run(&p.batch.Batch); err != nil {
		return r, err
	}
	losses, _, _ := p.runner.Output()
	for _, l := range losses {
		r.Loss += float64(l)
	}
	r.Tokens, r.Targets = len(p.batch.Tokens), len(losses)
	return r, nil
}
