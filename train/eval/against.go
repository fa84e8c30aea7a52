package eval

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/predict"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
)

// Comparison lets a model and a reference, such as the one that it was quantized from,
// predict every next token of the same texts. One goroutine at a time.
type Comparison struct {
	library          *kernels.Library
	model, reference side
}

// side is one model of a comparison.
type side struct {
	*predict.Predictor
	source quant.Source
	encode func(text string) (ids, first []int32)
}

// Compare opens the models at two paths. Of o it heeds the table, the threads and the
// activations. log may be nil.
func Compare(model, reference string, o engine.Options, log *slog.Logger) (*Comparison, error) {
	c := &Comparison{library: kernels.Open(o.Threads, kernels.Options{Nice: o.Nice})}
	if err := c.open(model, reference, o, log); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Comparison) open(path, reference string, o engine.Options, log *slog.Logger) error {
	table, err := c.library.Select(o.Table, log)
	if err != nil {
		return err
	}
	act, err := o.ActivationsOn(table)
	if err != nil {
		return err
	}
	if err := c.model.open(path, table, act); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := c.reference.open(reference, table, act); err != nil {
		return fmt.Errorf("%s: %w", reference, err)
	}
	return nil
}

func (s *side) open(path string, t *kernels.Table, act kernels.Activations) (err error) {
	if s.source, err = checkpoint.Open(path); err != nil {
		return err
	}
	if s.encode, err = predict.Encoder(s.source.Meta()); err != nil {
		return err
	}
	s.Predictor, err = predict.New(s.source, t, model.Options{Activations: act})
	return err
}

// Close frees both programs and closes the files.
func (c *Comparison) Close() error {
	err := errors.Join(c.model.close(), c.reference.close())
	c.library.Close()
	return err
}

func (s *side) close() error {
	if s.Predictor != nil {
		s.Predictor.Close()
	}
	if s.source == nil {
		return nil
	}
	return s.source.Close()
}

// comparisonMetrics are what a comparison tells: the mean Kullback-Leibler divergence of
// the model's next-token distribution from the reference's, in nats; the share of tokens
// at which both find the same one likeliest; the perplexity of each.
var comparisonMetrics = []string{"kl_divergence", "top1_agreement", "perplexity", "reference_perplexity"}

// Run compares the models over the texts of a task. The standard errors take a window of
// tokens as one observation, since what a text says in one place bears on the next.
func (c *Comparison) Run(ctx context.Context, t *Task, o Options) (*Result, error) {
	if t.Kind != "text" {
		return nil, fmt.Errorf("%s asks for choices or answers: models are compared over text, such as --tasks bpb --file FILE", t.Name)
	}
	start := time.Now()
	r := &Result{Task: t.Name}
	texts, err := t.questions(o, r)
	if err != nil {
		return nil, err
	}
	var outcomes []outcome
	err = each(ctx, 1, len(texts), o.Progress, func(ctx context.Context, i int) error {
		found, err := c.text(ctx, texts[i].endings[0])
		outcomes = append(outcomes, found...)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(outcomes) == 0 {
		return nil, fmt.Errorf("%s: no text has two tokens: there is no next one to predict", t.Name)
	}
	r.Samples, r.Seconds = len(texts), time.Since(start).Seconds()
	for _, name := range comparisonMetrics {
		r.Metrics = append(r.Metrics, aggregate(name, outcomes))
	}
	return r, nil
}

// text returns the outcome of each of a text's windows.
func (c *Comparison) text(ctx context.Context, text string) (out []outcome, err error) {
	ids, first := c.model.encode(text)
	same, start := c.reference.encode(text)
	if !slices.Equal(ids, same) || !slices.Equal(first, start) || c.model.Model.Vocab != c.reference.Model.Vocab {
		return nil, errors.New("the models have different tokenizers: their predictions are of different things")
	}
	shorter := c.model
	if c.reference.Window() < shorter.Window() {
		shorter = c.reference
	}
	for _, w := range shorter.Windows(ids, first) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		o, err := c.window(w)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

func (c *Comparison) window(tokens []int32) (outcome, error) {
	known, next := tokens[:len(tokens)-1], tokens[1:]
	want, err := c.reference.Predict(known)
	if err != nil {
		return nil, err
	}
	got, err := c.model.Predict(known)
	if err != nil {
		return nil, err
	}
	var d predict.Divergence
	d.Add(want, got, next)
	n := float64(d.Tokens)
	return outcome{
		"kl_divergence": {d.KL, n}, "top1_agreement": {float64(d.Matches), n},
		"perplexity": {d.NLL, n}, "reference_perplexity": {d.RefNLL, n},
	}, nil
}
