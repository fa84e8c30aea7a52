package train

import (
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/train/loader"
)

// batch is a step of sequences, whose arrays are used again.
type batch struct {
	kernels.Batch
	blocks int // KV blocks that the step needs
}

// reset empties the batch.
func (b *batch) reset() {
	for _, a := range []*[]int32{&b.Tokens, &b.Positions, &b.Slots, &b.SeqLen, &b.Tables, &b.LogitRows, &b.Targets} {
		*a = (*a)[:0]
	}
	b.RowStart, b.TableStart, b.blocks = append(b.RowStart[:0], 0), append(b.TableStart[:0], 0), 0
}

// add appends a sequence with KV blocks of its own, in order: attention
// stays within it.
func (b *batch) add(d loader.Sequence) {
	for t, id := range d.Tokens {
		if d.Targets[t] >= 0 {
			b.LogitRows = append(b.LogitRows, int32(len(b.Tokens)))
			b.Targets = append(b.Targets, d.Targets[t])
		}
		b.Slots = append(b.Slots, int32(b.blocks*kernels.BlockTokens+t))
		b.Tokens, b.Positions = append(b.Tokens, id), append(b.Positions, int32(t))
	}
	for range (len(d.Tokens) + kernels.BlockTokens - 1) / kernels.BlockTokens {
		b.Tables = append(b.Tables, int32(b.blocks))
		b.blocks++
	}
	b.RowStart = append(b.RowStart, int32(len(b.Tokens)))
	b.TableStart = append(b.TableStart, int32(len(b.Tables)))
	b.SeqLen = append(b.SeqLen, int32(len(d.Tokens)))
}
