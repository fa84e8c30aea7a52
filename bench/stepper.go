package bench

import (
	"context"
	"time"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
)

// chunk is the most tokens of a prompt in one step, as in the engine.
const chunk = 512

// stepper drives a model's program without engine or scheduler: equal sequences that
// prefill or decode in step.
type stepper struct {
	model  *model.Model
	runner *kernels.Runner
	blocks int // of a sequence
	batch  kernels.Batch
}

// newStepper takes the memory for prompts of up to prompt tokens and seqs sequences of up to
// tokens tokens each. The model stays the caller's.
func newStepper(m *model.Model, t *kernels.Table, seqs, prompt, tokens int) (*stepper, error) {
	blocks := blocksFor(tokens)
	rows := max(min(prompt, chunk), seqs)
	if m.Family.Encoder {
		rows = prompt // an encoder sees its text at once
	}
	r, err := kernels.NewRunner(m.Program, t, kernels.Limits{Tokens: rows, LogitRows: seqs, Seqs: seqs, Blocks: seqs * blocks})
	if err != nil {
		return nil, err
	}
	return &stepper{model: m, runner: r, blocks: blocks}, nil
}

func blocksFor(tokens int) int { return (tokens + kernels.BlockTokens - 1) / kernels.BlockTokens }

func (l *stepper) close() { l.runner.Close() }

// step runs positions from ... from+n-1 of the first seqs sequences, and wants the
// logits of each one's last row.
func (l *stepper) step(seqs, from, n int) error {
	b := &l.batch
	*b = kernels.Batch{
		Tokens: b.Tokens[:0], Positions: b.Positions[:0], Slots: b.Slots[:0], RowStart: append(b.RowStart[:0], 0),
		SeqLen: b.SeqLen[:0], TableStart: append(b.TableStart[:0], 0), Tables: b.Tables[:0], LogitRows: b.LogitRows[:0],
	}
	for s := range seqs {
		l.add(s, from, n)
	}
	return l.runner.Run(b)
}

// add appends rows of sequence s, whose blocks lie one after another.
func (l *stepper) add(s, from, n int) {
	b := &l.batch
	for p := from; p < from+n; p++ {
		b.Tokens = append(b.Tokens, int32((p*7919+s)%l.model.Vocab))
		b.Positions = append(b.Positions, int32(p))
		b.Slots = append(b.Slots, int32(s*l.blocks*kernels.BlockTokens+p))
	}
	for i := range blocksFor(from + n) {
		b.Tables = append(b.Tables, int32(s*l.blocks+i))
	}
	b.RowStart = append(b.RowStart, int32(len(b.Tokens)))
	b.SeqLen = append(b.SeqLen, int32(from+n))
	b.TableStart = append(b.TableStart, int32(len(b.Tables)))
	b.LogitRows = append(b.LogitRows, int32(len(b.Tokens)-1))
}

// prefill computes the first n tokens of sequence 0 and returns how long it took.
func (l *stepper) prefill(ctx context.Context, n int) (time.Duration, error) {
	size := chunk
	if l.model.Family.Encoder {
		size = n
	}
	start := time.Now()
	for from := 0; from < n; from += size {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := l.step(1, from, min(size, n-from)); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// spread gives every sequence tokens keys and values: those of the first one's n, over
// and over. A key's position is of no matter to the time.
func (l *stepper) spread(seqs, n, tokens int) {
	for s := range seqs {
		for i := range blocksFor(tokens) {
			if from := i % blocksFor(n); s > 0 || i != from {
				l.runner.CopyBlock(from, s*l.blocks+i)
			}
		}
	}
}

// decode computes n steps of one token for each of seqs sequences after their first
// from tokens, and returns how long each took. done is told of every step.
func (l *stepper) decode(ctx context.Context, seqs, from, n int, done func()) ([]time.Duration, error) {
	steps := make([]time.Duration, 0, n)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := l.step(seqs, from+i, 1); err != nil {
			return nil, err
		}
		steps = append(steps, time.Since(start))
		done()
	}
	return steps, nil
}
