package train

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	checkpoints "github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/quant/hf"
	"github.com/ingot-llm/ingot/train/board"
	"github.com/ingot-llm/ingot/train/checkpoint"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/optim"
	"github.com/ingot-llm/ingot/train/param"
	"github.com/ingot-llm/ingot/train/shard"
)

// run is one pretraining or fine-tuning: a Trainer with what is around it.
type run struct {
	runOptions
	*Trainer
	lib      *kernels.Library
	table    *kernels.Table
	base     quant.Source // of a model that is tuned
	text     *tokenizer.Tokenizer
	valid    *validation
	store    *checkpoint.Store
	shards   []*shard.Shard
	estimate estimate
	monitor  *monitor
	log      *slog.Logger
}

// openRun makes the model and opens the data. The caller closes the run.
func openRun(cmd *cobra.Command, o runOptions) (_ *run, err error) {
	r := &run{runOptions: o, Trainer: &Trainer{}, log: cli.Logger(cmd.ErrOrStderr())}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	r.lib = kernels.Open(threadCount(o.threads), kernels.Options{})
	if r.table, err = r.lib.Select(o.table, slog.New(slog.DiscardHandler)); err != nil {
		return nil, cli.Usagef("--table: %w", err)
	}
	if err := r.openModel(); err != nil {
		return nil, err
	}
	if err := r.openData(); err != nil {
		return nil, err
	}
	if err := r.snap(); err != nil {
		return nil, err
	}
	return r, r.openTrainer(cmd)
}

// openModel makes the parameters: random ones, or those of the model that is tuned.
func (r *run) openModel() (err error) {
	precision, _ := param.ParsePrecision(r.precision) // checked
	if r.model == "" {
		return r.newModel(precision)
	}
	if r.base, err = checkpoints.Open(r.model); err != nil {
		return err
	}
	if r.text, err = tokenizer.New(r.base.Meta()); err != nil {
		return err
	}
	if r.lora.Rank > 0 {
		err = r.newAdapter()
	} else if r.set, err = param.Load(r.base, precision, nil); err == nil {
		r.network = wholly(r.set)
	}
	if r.context == 0 {
		meta := r.base.Meta()
		r.context = min(meta.Int(meta.String("general.architecture", "")+".context_length", defaultContext), defaultContext)
	}
	return err
}

// defaultContext is how long sequences are where the model allows longer ones.
const defaultContext = 1024

// newModel takes the size from the preset, the vocabulary from the tokenizer.
func (r *run) newModel(precision param.Precision) error {
	s, err := shape.Find(r.preset)
	if err != nil {
		return cli.Usagef("--preset: %w", err)
	}
	if s, err = s.With(r.shape); err != nil {
		return cli.Usagef("--shape: %w", err)
	}
	text, err := tokenizerMeta(r.tokenizer)
	if err != nil {
		return err
	}
	if r.text, err = tokenizer.New(text); err != nil {
		return err
	}
	s.Vocab = r.text.Vocab()
	if r.context == 0 {
		r.context = min(s.Context, defaultContext)
	}
	s.Context = r.context
	if err := s.Check(); err != nil {
		return err
	}
	meta := s.Meta()
	for _, key := range text.Keys() {
		if strings.HasPrefix(key, "tokenizer.") {
			meta.Set(key, text.Get(key))
		}
	}
	if r.set, err = param.New(meta, s.Tensors(), precision); err != nil {
		return err
	}
	r.set.Init(r.seed)
	r.network = wholly(r.set)
	return nil
}

// snap makes the model compute with weights rounded to the type of --qat.
func (r *run) snap() error {
	if r.qat == "" {
		return nil
	}
	mix, _ := quant.ParseMix(r.qat) // checked
	return r.set.SnapTo(convert.Types(r.set, mix, false))
}

// newAdapter makes the adapter that is trained over the base as it lies.
func (r *run) newAdapter() (err error) {
	if r.adapter, err = newAdapter(r.base, r.lora, r.table, r.seed); err == nil {
		r.source, r.set = r.base, r.adapter.set
	}
	return err
}

// tokenizerMeta returns the metadata of a tokenizer's directory, or of a model.
func tokenizerMeta(path string) (*quant.Meta, error) {
	if _, err := os.Stat(filepath.Join(path, "tokenizer.json")); err == nil {
		return hf.ReadTokenizer(path)
	}
	src, err := checkpoints.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the tokenizer: %w", err)
	}
	defer src.Close()
	return src.Meta().Clone(), nil
}

func (r *run) openData() error {
	var sources []loader.Source
	var valid []*shard.Shard
	for _, arg := range r.data {
		s, err := source(arg)
		r.shards = append(r.shards, s.Shards...)
		if err != nil {
			return err
		}
		sources = append(sources, s)
		held, err := openValid(s.Name)
		valid = append(valid, held...)
		if err != nil {
			r.shards = append(r.shards, valid...)
			return err
		}
	}
	r.shards = append(r.shards, valid...)
	mark := fingerprint(r.text)
	total := int64(0)
	for _, s := range r.shards {
		if s.Header.Tokenizer != mark {
			return fmt.Errorf("%q was made with another tokenizer than %q: make the shards again", s.Path, r.tokenizer+r.model)
		}
	}
	for _, s := range sources {
		for _, sh := range s.Shards {
			total += sh.Header.Tokens
		}
	}
	if r.steps == 0 {
		r.steps = max(1, int(r.epochs*float64(total)/float64(r.batchTokens)))
	}
	r.micro = max(r.micro, r.context)
	var err error
	r.loader, err = loader.New(sources, loader.Options{Tokens: min(r.micro, r.batchTokens), Context: min(r.context, r.batchTokens), Seed: r.seed, Whole: r.whole})
	if err == nil && len(valid) > 0 {
		r.valid, err = newValidation(valid, r.micro, r.context, r.validTokens)
	}
	return err
}

// openValid opens what a folder of train data has held back; a folder without it has none.
func openValid(path string) ([]*shard.Shard, error) {
	if files, _ := filepath.Glob(filepath.Join(path, "valid", "*.shard")); len(files) == 0 {
		return nil, nil
	}
	return openShards(filepath.Join(path, "valid"), ".")
}

func (r *run) openTrainer(cmd *cobra.Command) (err error) {
	micro := min(r.micro, r.batchTokens)
	r.batches = max(1, r.batchTokens/micro)
	r.Trainer.schedule = r.runOptions.schedule
	r.Trainer.schedule.Steps = r.steps
	r.Trainer.schedule.Warmup = min(r.Trainer.schedule.Warmup, r.steps/4)
	if err := r.Trainer.schedule.Check(); err != nil {
		return &cli.UsageError{Err: err}
	}
	if r.optim, err = r.newOptimizer(); err != nil {
		return err
	}
	if r.ema > 0 {
		if r.average, err = optim.NewAverage(r.set, r.ema); err != nil {
			return err
		}
	}
	r.Trainer.spikes.limit = r.skipSpikes
	o := kernels.Training{Recompute: r.recomputed, Balance: float32(r.balance)}
	if r.neftune > 0 {
		if r.noise, err = newNoise(r.source, micro, r.neftune, r.seed); err != nil {
			return err
		}
		o.Noise = r.noise.values
	}
	if r.pass, err = newPass(r.network, r.table, micro, true, o); err != nil {
		return err
	}
	if r.valid != nil {
		if err := r.valid.open(r.network, r.table); err != nil {
			return err
		}
	}
	r.estimate = r.makeEstimate()
	if r.onlyEstimate {
		return nil
	}
	if err := r.resumeLatest(); err != nil {
		return err
	}
	r.monitor, err = newMonitor(cmd.ErrOrStderr(), r.out, r.estimate, r.start(cmd))
	return err
}

func (r *run) newOptimizer() (optimizer, error) {
	switch r.runOptions.optimizer {
	case "adamw":
		o, err := optim.NewAdamW(r.set, r.table)
		if err != nil {
			return nil, err
		}
		r.settle(o)
		return o, nil
	case "sgd":
		o, err := optim.NewSGD(r.set, r.table)
		if err != nil {
			return nil, err
		}
		o.Rate, o.Momentum, o.Decay, o.Clip = r.rate, r.beta1, r.runOptions.decay, r.clip
		return o, nil
	}
	return r.newMuon()
}

func (r *run) newMuon() (optimizer, error) {
	m, err := optim.NewMuon(r.set, r.table)
	if err != nil {
		return nil, err
	}
	r.settle(m.Rest)
	m.Rate, m.Decay = r.muonRate, r.runOptions.decay/10 // Muon's steps are that much longer
	if m.MatchAdamW = r.matchAdamW; m.MatchAdamW {
		m.Rate, m.Decay = r.rate, r.runOptions.decay
	}
	return m, nil
}

func (r *run) settle(o *optim.AdamW) {
	o.Rate, o.Beta1, o.Beta2, o.Decay, o.Clip = r.rate, r.beta1, r.beta2, r.runOptions.decay, r.clip
}

// train runs to the last step, or until ctx ends: then it saves what it has.
func (r *run) train(ctx context.Context) error {
	for r.step < r.steps {
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), r.save(0), r.store.Wait())
		}
		result, err := r.Step()
		if err == nil {
			err = r.monitor.step(result)
		}
		if err == nil {
			err = r.store.Failed()
		}
		if err == nil {
			err = r.pause(ctx)
		}
		if err != nil {
			return err
		}
	}
	return r.store.Wait()
}

// pause evaluates and saves where it is time.
func (r *run) pause(ctx context.Context) error {
	var e board.Evaluation
	if r.due(r.evalEvery) {
		var err error
		if e, err = r.evaluate(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if r.due(r.saveEvery) {
		return r.save(e.Loss)
	}
	return nil
}

// due reports whether what happens every so many steps, and at the end, happens now.
func (r *run) due(every int) bool { return r.step == r.steps || every > 0 && r.step%every == 0 }

func (r *run) evaluate(ctx context.Context) (e board.Evaluation, err error) {
	e.Step = r.step
	if r.valid != nil {
		if e.Loss, e.BitsPerByte, err = r.valid.measure(); err != nil {
			return e, err
		}
	}
	if e.Sample, err = sampleText(ctx, r.network, r.prompt, r.lib.Threads()); err != nil {
		return e, err
	}
	return e, r.monitor.evaluation(e)
}

// takeAverage makes the parameters their average, at the end of a run: checkpoints keep both.
func (r *run) takeAverage() {
	for _, p := range r.set.Params() {
		if !p.Frozen() {
			copy(p.Master, r.average.Of(p))
		}
	}
	r.set.Round()
}

// export writes what was trained, the model as a Hugging Face directory or the adapter as
// PEFT has it, and returns how it is used.
func (r *run) export(ctx context.Context) (string, error) {
	name := "model"
	if r.adapter != nil {
		name = "adapter"
	}
	dir := filepath.Join(r.out, name)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if r.average != nil {
		r.takeAverage()
	}
	if r.adapter != nil {
		return fmt.Sprintf("%s is ready: ingot serve --model %s --lora %s\n", dir, r.model, dir), lora.Write(dir, r.adapter.snapshot(), r.model)
	}
	if r.qat != "" { // the masters, since rounding them again gives what training saw
		return fmt.Sprintf("%s is ready: ingot quantize %s %s.gguf %s\n", dir, dir, dir, r.qat), convert.ToHF(ctx, r.set.Masters(), dir, convert.HFOptions{Type: "F32"})
	}
	return fmt.Sprintf("%s is ready: ingot serve --model %s\n", dir, dir), convert.ToHF(ctx, r.set, dir, convert.HFOptions{Type: strings.ToUpper(r.precision)})
}

func (r *run) close() {
	if r.monitor != nil {
		if err := r.monitor.close(); err != nil {
			r.log.Warn("closing the run", "error", err)
		}
	}
	if r.store != nil {
		if err := r.store.Close(); err != nil {
			r.log.Warn("closing the run", "error", err)
		}
	}
	if r.valid != nil {
		r.valid.close()
	}
	if r.pass != nil {
		r.pass.close()
	}
	if r.noise != nil {
		r.noise.Close()
	}
	if r.optim != nil {
		r.optim.Close()
	}
	if r.average != nil {
		r.average.Close()
	}
	var err error
	for _, s := range r.shards {
		err = errors.Join(err, s.Close())
	}
	if r.set != nil {
		err = errors.Join(err, r.set.Close())
	}
	if r.base != nil {
		err = errors.Join(err, r.base.Close())
	}
	if err != nil {
		r.log.Warn("closing the run", "error", err)
	}
	if r.lib != nil {
		r.lib.Close()
	}
}
