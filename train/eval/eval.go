// Package eval measures what a model knows: multiple choice by log-likelihood, answers by
// generation, text in bits per byte.
//
// A task is plain data (tasks.yaml): where its rows lie, how a row becomes a prompt, what is
// measured. Prompts, few-shot examples and metrics are those of EleutherAI's
// lm-evaluation-harness where that has the task, so that figures can be compared.
//
//	task -> rows -> questions -> Scorer -> outcomes -> metrics with standard errors
package eval

import (
	"context"
	"sync"
	"time"
)

// Scorer is a model under evaluation: an engine in this process, a server's URL, or a model
// that is being trained. Its methods are called by many goroutines at once.
type Scorer interface {
	// Score returns how likely the model finds each of endings, at least one, right after a
	// text, in their order. A text that is too long for the model is cut off at its
	// beginning; an ending that is itself too long is scored in windows.
	Score(ctx context.Context, before string, endings []string) ([]Likelihood, error)
	// Generate returns how the model goes on from prompt, its likeliest token at each
	// place: at most maxTokens of them, up to its end token or the first of stop, which
	// are cut off.
	Generate(ctx context.Context, prompt string, stop []string, maxTokens int) (string, error)
}

// Likelihood is what a model gives an ending.
type Likelihood struct {
	Logprob float64 // of all its tokens together, in nats
	Tokens  int     // that Logprob counts
	Bytes   int     // of the text that these stand for
	Greedy  bool    // each token is a likeliest one at its place
}

// Options say how much of a task is asked.
type Options struct {
	Data     string                // folder of the tasks' files
	Files    []string              // text of tasks that have no file of their own
	Limit    int                   // at most so many questions of a task; 0 = all
	Shots    int                   // solved examples before each question; -1 = the task's own number
	Parallel int                   // questions asked at once; 0 = 1
	Damaged  func(err error)       // told of each row that cannot be used; nil = nobody
	Progress func(done, total int) // told of the questions answered, one call at a time; nil = nobody
}

// Result is what a model achieved in a task.
type Result struct {
	Task    string   `json:"task"`
	Shots   int      `json:"num_fewshot"`
	Samples int      `json:"samples"` // questions answered
	Damaged int      `json:"damaged"` // rows that could not be used
	Seconds float64  `json:"seconds"`
	Metrics []Metric `json:"metrics"`
}

// Metric is a figure with its standard error, nil where one question alone was asked.
type Metric struct {
	Name   string   `json:"name"`
	Value  float64  `json:"value"`
	StdErr *float64 `json:"stderr"`
}

// Run asks s all questions of a task.
func Run(ctx context.Context, s Scorer, t *Task, o Options) (*Result, error) {
	start := time.Now()
	r := &Result{Task: t.Name, Shots: o.Shots}
	if r.Shots < 0 {
		r.Shots = t.Shots
	}
	questions, err := t.questions(o, r)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, len(questions))
	err = each(ctx, o.Parallel, len(questions), o.Progress, func(ctx context.Context, i int) (err error) {
		outcomes[i], err = kinds[t.Kind](ctx, s, t, &questions[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	r.Samples, r.Seconds = len(questions), time.Since(start).Seconds()
	for _, name := range t.Metrics {
		r.Metrics = append(r.Metrics, aggregate(name, outcomes))
	}
	return r, nil
}

// each calls f for 0 to n-1 from a number of goroutines. The first error ends all, and is
// returned.
func each(ctx context.Context, parallel, n int, progress func(done, total int), f func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers sync.WaitGroup
	var mu sync.Mutex // of next, done and progress
	next, done := 0, 0
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= n && ctx.Err() == nil
	}
	for range min(max(parallel, 1), n) {
		workers.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if err := f(ctx, i); err != nil {
					stop(err)
					return
				}
				mu.Lock()
				if done++; progress != nil {
					progress(done, n)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}
