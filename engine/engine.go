package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/sched"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/kernels"
)

// Model computes the logits of a batch. The engine's loop is its only caller.
type Model interface {
	// Run computes the batch. The error of a batch that cannot be computed ends the
	// requests in it and no others.
	Run(b *batch.Batch) error
	// Logits returns the logits [V] of row i of the batch's LogitRows, valid and free to
	// be overwritten until the next Run.
	Logits(i int) []float32
	// CopyBlock copies the keys and values of a KV block in every layer.
	CopyBlock(src, dst int)
}

// Config is what an engine is made of.
type Config struct {
	Model     Model
	Tokenizer *tokenizer.Tokenizer
	// Table reads the logits, with its threads; nil = the reference. It stays open until Close.
	Table *kernels.Table
	Sched sched.Config
	// Adapters are the names of the adapters that the model has, in order.
	Adapters []string
	// MaxStep bounds how long a step may take in which sequences get tokens while prompts are
	// computed: the part of the prompts is cut so that it is foreseen to keep to it. 0 = 75 ms
	// or, where that is more, twice as long as the step takes without them.
	MaxStep time.Duration
	// EndTokens end a sequence when they are drawn, unless the request ignores them.
	EndTokens []int32
	// Log gets one line per change of state, none per token; nil = discard.
	Log *slog.Logger
}

// Engine owns the loop goroutine and everything that it touches. Its methods are safe
// for concurrent use; Submit is the only way in for work.
type Engine struct {
	cfg      Config
	commands chan func() // run by the loop
	stop     chan struct{}
	done     chan struct{}
	closing  sync.Once
	draining atomic.Bool
	stats    board
	opened   *opened // by Open; empty where New was called with parts of the caller's own
	nextID   atomic.Uint64

	// The loop's own state, touched by no other goroutine.
	sched  *sched.Scheduler
	pace   pace
	tasks  map[uint64]*task
	drawer drawer
	told   []*Stream // in the step at hand
	idle   []func()  // wait for the last task to end
}

// New starts an engine. Close ends it.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Sched.Validate(); err != nil {
		return nil, fmt.Errorf("cannot start the engine: %w", err)
	}
	if cfg.MaxStep < 0 {
		return nil, fmt.Errorf("cannot start the engine: a step may take %v (--max-step-ms), want at least 0", cfg.MaxStep)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		cfg:      cfg,
		commands: make(chan func(), 64),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		sched:    sched.New(cfg.Sched),
		pace:     newPace(cfg.MaxStep),
		tasks:    map[uint64]*task{},
		drawer:   drawer{sampler: sample.New(cfg.Table)},
		opened:   &opened{},
	}
	e.stats.blocks = cfg.Sched.Blocks
	go e.loop()
	return e, nil
}

// Submit queues a request. The stream's events end with one finish per sequence; when
// ctx ends before that, the request is dropped by the next step. Errors: ErrQueueFull,
// ErrClosed, *TooLongError or *InvalidError.
func (e *Engine) Submit(ctx context.Context, r Request) (*Stream, error) {
	if e.draining.Load() {
		return nil, ErrClosed
	}
	if e.opened.info.Embeds {
		return nil, ErrNotGenerative
	}
	t, err := e.newTask(r)
	if err != nil {
		return nil, err
	}
	admitted := make(chan error, 1)
	if !e.do(func() { admitted <- e.admit(t) }) {
		return nil, ErrClosed
	}
	select {
	case err = <-admitted:
	case <-e.done:
		err = ErrClosed
	}
	if err != nil {
		return nil, err
	}
	t.stream.hook(context.AfterFunc(ctx, func() { e.cancel(t) }))
	return t.stream, nil
}

// cancel drops a request by the next step.
func (e *Engine) cancel(t *task) {
	e.do(func() { e.drop(t, FinishAbort, nil) })
}

// do hands f to the loop; false if the loop has ended.
func (e *Engine) do(f func()) bool {
	select {
	case e.commands <- f:
		return true
	case <-e.done:
		return false
	}
}

// admit gives a task to the scheduler; called by the loop.
func (e *Engine) admit(t *task) error {
	err := e.sched.Add(t.schedule())
	switch {
	case errors.Is(err, sched.ErrQueueFull):
		return ErrQueueFull
	case errors.Is(err, sched.ErrTooLong):
		return e.tooLong(t, err)
	}
	e.tasks[t.id] = t
	return nil
}

// tooLong puts the scheduler's refusal into the request's terms.
func (e *Engine) tooLong(t *task, err error) error {
	long := &TooLongError{PromptTokens: len(t.req.Prompt), MaxTokens: t.req.MaxTokens, Limit: e.cfg.Sched.MaxContext, What: "context length"}
	if long.PromptTokens+long.MaxTokens > long.Limit {
		return long
	}
	return &InvalidError{err}
}

// Drain refuses new requests and waits until those inside have ended or ctx has.
func (e *Engine) Drain(ctx context.Context) error {
	e.draining.Store(true)
	empty := make(chan struct{})
	if !e.do(func() { e.idle = append(e.idle, func() { close(empty) }) }) {
		return nil
	}
	select {
	case <-empty:
		return nil
	case <-e.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends every request with FinishAbort, then the loop, and gives back what Open
// took. It may be called more than once.
func (e *Engine) Close() (err error) {
	e.draining.Store(true)
	e.closing.Do(func() {
		close(e.stop)
		<-e.done
		if e.opened != nil {
			err = e.opened.close()
		}
	})
	return err
}

// Info returns what is known of the model.
func (e *Engine) Info() Info { return e.opened.info }

// Tokenizer returns the model's tokenizer.
func (e *Engine) Tokenizer() *tokenizer.Tokenizer { return e.cfg.Tokenizer }

// Chat returns the model's chat format, nil if it brings no template.
func (e *Engine) Chat() *chat.Format { return e.opened.chat }
