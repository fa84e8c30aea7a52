package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ingot-llm/ingot/train/checkpoint"
	"github.com/ingot-llm/ingot/train/loader"
)

// progress is what a checkpoint holds beside arrays.
type progress struct {
	OptimizerSteps int          `json:"optimizer_steps"`
	Loader         loader.State `json:"loader"`
	Spikes         *spikes      `json:"spikes"`
	Settings       string       `json:"settings"` // of the run, which a resumed one must have
}

// arrays returns the memory that makes up the training's state.
func (t *Trainer) arrays() (all []checkpoint.Array) {
	for _, p := range t.set.Params() {
		if !p.Frozen() {
			all = append(all, checkpoint.Array{Name: "p." + p.Name, Values: p.Master})
		}
	}
	t.optim.State(func(name string, values []float32) {
		all = append(all, checkpoint.Array{Name: name, Values: values})
	})
	if t.average != nil {
		t.average.State(func(name string, values []float32) {
			all = append(all, checkpoint.Array{Name: name, Values: values})
		})
	}
	return all
}

// save begins to write a checkpoint of the step made last, or writes it where there is no
// room for a copy. loss is the validation's, 0 if it is not known.
func (r *run) save(loss float64) error {
	state, err := json.Marshal(progress{r.optim.Steps(), r.loader.State(), &r.Trainer.spikes, r.settings()})
	if err != nil {
		return err
	}
	m := checkpoint.Manifest{Step: r.step, Loss: loss, State: state}
	if r.estimate.Copy == 0 {
		return r.store.Save(m, r.arrays())
	}
	return r.store.Start(m, r.arrays())
}

// settings are what decides the bits of a run.
func (r *run) settings() string {
	some := "" // that not every run has
	if r.adapter != nil {
		some = fmt.Sprint(r.lora)
	}
	if r.neftune > 0 {
		some += fmt.Sprint(" neftune ", r.neftune)
	}
	if r.qat != "" {
		some += fmt.Sprint(" qat ", r.qat)
	}
	return fmt.Sprint(some, r.ema, r.skipSpikes, r.matchAdamW, r.preset, r.shape, r.model, r.whole, r.runOptions.precision, r.context, r.batchTokens, r.micro, r.steps, r.rate, r.runOptions.optimizer, r.muonRate, r.runOptions.decay,
		r.clip, r.beta1, r.beta2, r.Trainer.schedule, r.seed, r.balance, r.data)
}

// resumeLatest goes on from the newest checkpoint that is whole, if there is one.
func (r *run) resumeLatest() (err error) {
	if r.store, err = checkpoint.Open(filepath.Join(r.out, "checkpoints")); err != nil {
		return err
	}
	if r.resume == "never" {
		return nil
	}
	m, damaged, err := r.store.Latest(r.arrays())
	for _, d := range damaged {
		r.log.Warn("passed over", "error", d)
	}
	if errors.Is(err, checkpoint.ErrNone) {
		return r.beginAnew(len(damaged))
	}
	if err != nil {
		return err
	}
	p := progress{Spikes: &r.Trainer.spikes}
	if err := json.Unmarshal(m.State, &p); err != nil {
		return fmt.Errorf("the checkpoint of step %d is damaged: %w", m.Step, err)
	}
	if p.Settings != r.settings() {
		return fmt.Errorf("%q holds a run with other settings: go on with its own, or begin anew with --resume never or another --out", r.out)
	}
	r.step = m.Step
	r.optim.SetSteps(p.OptimizerSteps)
	r.set.Round()
	if err := r.set.Snap(); err != nil {
		return err
	}
	r.log.Info("going on", "step", m.Step, "of", r.steps)
	return r.loader.Resume(p.Loader)
}

// beginAnew refuses to train over checkpoints none of which can be read.
func (r *run) beginAnew(damaged int) error {
	if damaged > 0 {
		return fmt.Errorf("none of the %d checkpoints in %q can be used: --resume never begins anew", damaged, r.out)
	}
	return nil
}
