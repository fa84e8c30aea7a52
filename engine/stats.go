package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/engine/sched"
)

// Stats is the engine's state in numbers. Counters only grow.
type Stats struct {
	Running int // sequences in the batch
	Waiting int // requests that were never scheduled
	// RunningAdapters are the names of the adapters of sequences in the batch, in the order
	// of Info's, WaitingAdapters those of sequences that wait.
	RunningAdapters, WaitingAdapters []string
	// KV blocks: BlocksUsed are held by sequences; what is cached for reuse is not used.
	BlocksUsed, BlocksTotal int
	// Tokens.
	PrefixQueries, PrefixHits, RecomputedTokens int64
	PromptTokens, GenerationTokens              int64
	Preemptions                                 int64
	// LastStep is the loop's last sign of life: it beats while idle, too.
	LastStep time.Time
}

// StepStats is one step of the loop.
type StepStats struct {
	Tokens, DecodeRows, PrefillRows int
	Duration                        time.Duration // from planning to the last token handed on
	Model                           time.Duration // of that, the model's run
}

// board is where the loop writes its state for others to read.
type board struct {
	mu     sync.Mutex
	now    sched.Stats
	loads  []sched.AdapterLoad // of the adapters
	blocks int
	beat   atomic.Int64 // unix nanoseconds
	onStep atomic.Pointer[func(StepStats)]
}

func (d *board) alive() { d.beat.Store(time.Now().UnixNano()) }

func (d *board) show(s *sched.Scheduler) {
	d.mu.Lock()
	d.now, d.loads = s.Stats(), s.AdapterLoads(d.loads[:0])
	d.mu.Unlock()
}

// step shows the state after a step and tells the observer of it.
func (d *board) step(b *batch.Batch, took, model time.Duration, s *sched.Scheduler) {
	d.show(s)
	observe := d.onStep.Load()
	if observe == nil {
		return
	}
	decodes := 0
	for i := range b.Seqs {
		if b.RowStart[i+1]-b.RowStart[i] == 1 && b.SeqLen[i] > 1 {
			decodes++
		}
	}
	(*observe)(StepStats{Tokens: len(b.Tokens), DecodeRows: decodes, PrefillRows: len(b.Tokens) - decodes, Duration: took, Model: model})
}

// Stats returns the state after the last step.
func (e *Engine) Stats() Stats {
	e.stats.mu.Lock()
	s := e.stats.now
	var running, waiting []string
	for i, load := range e.stats.loads {
		if load.Running > 0 {
			running = append(running, e.cfg.Adapters[i])
		}
		if load.Waiting > 0 {
			waiting = append(waiting, e.cfg.Adapters[i])
		}
	}
	e.stats.mu.Unlock()
	return Stats{
		RunningAdapters: running, WaitingAdapters: waiting,
		Running: s.RunningSeqs, Waiting: s.WaitingRequests,
		BlocksUsed: s.UsedBlocks, BlocksTotal: e.stats.blocks,
		PrefixQueries: int64(s.Prompt), PrefixHits: int64(s.Cached), RecomputedTokens: int64(s.Recomputed),
		PromptTokens: int64(s.Prompt), GenerationTokens: int64(s.Generated),
		Preemptions: int64(s.Preemptions),
		LastStep:    time.Unix(0, e.stats.beat.Load()),
	}
}

// OnStep has f called by the loop after every step; it must not block. One observer.
func (e *Engine) OnStep(f func(StepStats)) { e.stats.onStep.Store(&f) }
