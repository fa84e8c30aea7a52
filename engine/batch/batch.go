// Package batch holds the plain data that passes between the stages of an engine step:
// the scheduler writes a Batch, the model runner and the kernels read it, and the samples
// drawn from it go back to the scheduler.
package batch

import "github.com/ingot-llm/ingot/kv"

// Seq names one sequence: choice Index (0..n-1) of a request.
type Seq struct {
	Request uint64
	Index   int32
}

// Sample asks for the next token of Seq, drawn from the logits of row LogitRows[Logit].
// Several sequences draw from one row where a request with n > 1 has just computed its
// prompt.
type Sample struct {
	Seq   Seq
	Logit int32
}

// Batch is the work of one step as flat arrays. T rows (tokens to compute), grouped into
// S runs of consecutive rows, one run for each sequence: first those that decode (one
// row each), then chunks of prompts. Decoding and prefill differ in the length of a run
// only.
//
//	row        0        1        2  3  4  5        6  7
//	           ├ Seqs[0]┼ Seqs[1]┼── Seqs[2] ──────┼ Seqs[3]
//	RowStart   0        1        2                 6        8      [S+1]
//	SeqLen     9        4        4 (a whole prompt) 34             [S]
//
// The scheduler owns the arrays and reuses them: they are valid until its next Next.
// R is the number of rows whose logits are needed, in ascending order.
type Batch struct {
	Tokens     []int32        // [T] token ids
	Positions  []int32        // [T] place of each token in its sequence, from 0
	Slots      []int32        // [T] block*kv.BlockTokens+offset, where the token's keys and values go
	RowStart   []int32        // [S+1] first row of each run
	SeqLen     []int32        // [S] keys visible to the run's last row: its position + 1
	TableStart []int32        // [S+1] start of each run's block table in Tables
	Tables     []int32        // block numbers; a run's table covers its SeqLen keys
	Seqs       []Seq          // [S] whose run it is
	Adapters   []int32        // [S] the run's adapter from 1, 0 for none; empty: none for all
	LogitRows  []int32        // [R] rows whose logits are needed
	LogitSeq   []int32        // [R] index into Seqs of each such row
	Samples    []Sample       // tokens to draw, each answered by one Commit
	Copies     []kv.BlockCopy // to be carried out in order before the step
}

// New returns an empty batch with room for rows rows, seqs sequences and tables block
// numbers.
func New(rows, seqs, tables int) *Batch {
	return &Batch{
		Tokens:     make([]int32, 0, rows),
		Positions:  make([]int32, 0, rows),
		Slots:      make([]int32, 0, rows),
		RowStart:   append(make([]int32, 0, seqs+1), 0),
		SeqLen:     make([]int32, 0, seqs),
		TableStart: append(make([]int32, 0, seqs+1), 0),
		Tables:     make([]int32, 0, tables),
		Seqs:       make([]Seq, 0, seqs),
		Adapters:   make([]int32, 0, seqs),
		LogitRows:  make([]int32, 0, rows),
		LogitSeq:   make([]int32, 0, rows),
		Samples:    make([]Sample, 0, seqs),
		Copies:     make([]kv.BlockCopy, 0, seqs),
	}
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.Tokens, b.Positions, b.Slots = b.Tokens[:0], b.Positions[:0], b.Slots[:0]
	b.RowStart, b.SeqLen = b.RowStart[:1], b.SeqLen[:0]
	b.TableStart, b.Tables = b.TableStart[:1], b.Tables[:0]
	b.Seqs, b.Adapters, b.LogitRows, b.LogitSeq = b.Seqs[:0], b.Adapters[:0], b.LogitRows[:0], b.LogitSeq[:0]
	b.Samples, b.Copies = b.Samples[:0], b.Copies[:0]
}
