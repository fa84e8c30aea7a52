package engine

import (
	"context"
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/kv"
)

// Embed returns one vector of length 1 for each input, computed by the loop between
// steps, as many inputs at a time as fit a step. Inputs are token ids as the tokenizer
// gives them with the model's special tokens. Errors: ErrNoEmbeddings, ErrClosed,
// *TooLongError, or ctx's.
func (e *Engine) Embed(ctx context.Context, inputs [][]int32) ([][]float32, error) {
	if !e.opened.info.Embeds {
		return nil, ErrNoEmbeddings
	}
	if err := e.checkInputs(inputs); err != nil {
		return nil, err
	}
	out := make([][]float32, 0, len(inputs))
	for len(inputs) > 0 {
		n := e.fitting(inputs)
		vectors, err := e.embedStep(ctx, inputs[:n])
		if err != nil {
			return nil, err
		}
		out, inputs = append(out, vectors...), inputs[n:]
	}
	return out, nil
}

func (e *Engine) checkInputs(inputs [][]int32) error {
	for i, in := range inputs {
		if len(in) == 0 {
			return &InvalidError{fmt.Errorf("input %d is empty", i)}
		}
		if limit := e.cfg.Sched.MaxContext; len(in) > limit {
			return &TooLongError{PromptTokens: len(in), Limit: limit, What: "context length"}
		}
	}
	return nil
}

// fitting returns how many of the inputs a step can take, at least one.
func (e *Engine) fitting(inputs [][]int32) int {
	rows, blocks := 0, 0
	for i, in := range inputs {
		rows, blocks = rows+len(in), blocks+kv.Blocks(len(in))
		if i > 0 && (rows > e.cfg.Sched.MaxBatchTokens || i >= e.cfg.Sched.MaxSeqs || blocks > e.cfg.Sched.Blocks) {
			return i
		}
	}
	return len(inputs)
}

// embedStep has the loop compute one batch of whole inputs.
func (e *Engine) embedStep(ctx context.Context, inputs [][]int32) (vectors [][]float32, err error) {
	b := wholeSequences(inputs)
	done := make(chan struct{})
	ok := e.do(func() {
		defer close(done)
		if err = ctx.Err(); err != nil {
			return
		}
		if err = e.cfg.Model.Run(b); err != nil {
			return
		}
		for i := range inputs {
			vectors = append(vectors, unit(e.cfg.Model.Logits(i)))
		}
	})
	if !ok {
		return nil, ErrClosed
	}
	select {
	case <-done:
		return vectors, err
	case <-e.done:
		return nil, ErrClosed
	}
}

// wholeSequences is a batch in which each input is a sequence of its own, in blocks
// counted from 0: an encoder keeps nothing between steps.
func wholeSequences(inputs [][]int32) *batch.Batch {
	b := batch.New(0, len(inputs), 0)
	block := int32(0)
	for _, in := range inputs {
		for p, id := range in {
			b.Tokens = append(b.Tokens, id)
			b.Positions = append(b.Positions, int32(p))
			b.Slots = append(b.Slots, block*kv.BlockTokens+int32(p))
		}
		for range kv.Blocks(len(in)) {
			b.Tables = append(b.Tables, block)
			block++
		}
		b.RowStart = append(b.RowStart, int32(len(b.Tokens)))
		b.TableStart = append(b.TableStart, int32(len(b.Tables)))
		b.SeqLen = append(b.SeqLen, int32(len(in)))
	}
	return b
}

// unit returns a copy of x with Euclidean length 1.
func unit(x []float32) []float32 {
	var square float64
	for _, v := range x {
		square += float64(v) * float64(v)
	}
	out := make([]float32, len(x))
	if square == 0 {
		return out
	}
	scale := 1 / math.Sqrt(square)
	for i, v := range x {
		out[i] = float32(float64(v) * scale)
	}
	return out
}
