package sched

import (
	"fmt"
	"testing"

	"github.com/ingot-llm/ingot/kv"
)

// crowd runs 256 requests of prompt and tokens tokens on seats seats and blocks blocks to
// their end, and returns the tokens that it generated in a unit of time, in which one row
// of a prompt is computed: a step takes 10, and each decoding row 1.5 (about what a model
// of 135M parameters takes on two cores).
func crowd(prompts, tokens, seats, blocks int) (rate float64, total Totals) {
	s := New(Config{MaxSeqs: seats, MaxBatchTokens: 1024, ChunkTokens: 512, MaxContext: 4096, MaxWaiting: 256, Blocks: blocks})
	for i := range 256 {
		// Lengths differ by up to a half, as answers do; no two prompts share a beginning.
		r := Request{ID: uint64(i), Key: fmt.Sprint(i % 4), Prompt: prompt(i, prompts), MaxTokens: tokens - i*tokens/512, N: 1}
		if err := s.Add(r); err != nil {
			panic(err)
		}
	}
	time := 0.0
	for b := s.Next(); b != nil; b = s.Next() {
		time += 10
		for i := range b.Seqs {
			if n := b.RowStart[i+1] - b.RowStart[i]; n == 1 {
				time += 1.5
			} else {
				time += float64(n)
			}
		}
		for _, m := range b.Samples {
			s.Commit(m.Seq, 1, false)
		}
	}
	return float64(s.total.Generated) / time, s.total
}

// TestPreemptionDoesNotThrash: with memory for a quarter of the sequences that have seats,
// as much gets done as if no more were admitted than fit to their end.
func TestPreemptionDoesNotThrash(t *testing.T) {
	for _, c := range []struct{ prompt, tokens int }{{32, 128}, {16, 240}, {100, 400}, {500, 500}, {1000, 100}} {
		blocks := 64 * kv.Blocks(c.prompt+c.tokens)
		fits, _ := crowd(c.prompt, c.tokens, 64, blocks)
		rate, total := crowd(c.prompt, c.tokens, 256, blocks)
		t.Logf("prompt %d, answer %d: %.3f of what fits, %d preemptions, %d tokens computed again of %d generated",
			c.prompt, c.tokens, rate/fits, total.Preemptions, total.Recomputed, total.Generated)
		if rate < 0.9*fits {
			t.Errorf("prompt %d, answer %d: only %.2f of what fits", c.prompt, c.tokens, rate/fits)
		}
	}
}
