package sched

import (
	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/kv"
)

// plan writes the batch: first the rows of sequences with one token left to compute,
// then chunks of the others under the budget, both in rank order.
func (s *Scheduler) plan() {
	decodes := 0
	for _, q := range s.running {
		if q.rest() == 1 {
			s.run(q, 1)
			decodes++
		}
	}
	budget, logits := s.budget(decodes), s.promptLogits()
	for _, q := range s.running {
		if q.planned > 0 {
			continue
		}
		n := min(q.rest(), s.cfg.ChunkTokens)
		if q.owesPrompt() {
			n = min(n, max(q.shown-q.computed, 0)+logits)
		}
		if n = budget.take(q.computed, n); n > 0 {
			s.run(q, n)
		}
		if q.owesPrompt() {
			logits -= max(q.computed+n-q.shown, 0)
		}
	}
}

// promptLogits returns how many prompt rows of a step may be logit rows.
func (s *Scheduler) promptLogits() int {
	if s.cfg.PromptLogitRows == 0 {
		return s.cfg.MaxBatchTokens
	}
	return s.cfg.PromptLogitRows
}

// run adds the next n tokens of q to the batch as one run of rows.
func (s *Scheduler) run(q *seq, n int) {
	b := s.batch
	end := q.computed + n
	for i := q.computed; i < end; i++ {
		if q.wantsLogits(i) {
			b.LogitRows = append(b.LogitRows, int32(len(b.Tokens)))
			b.LogitSeq = append(b.LogitSeq, int32(len(b.Seqs)))
		}
		b.Tokens = append(b.Tokens, q.tokens[i])
		b.Positions = append(b.Positions, int32(i))
		b.Slots = append(b.Slots, q.table.Blocks[i/kv.BlockTokens]*kv.BlockTokens+int32(i%kv.BlockTokens))
	}
	b.Tables = append(b.Tables, q.table.Blocks[:kv.Blocks(end)]...)
	b.RowStart = append(b.RowStart, int32(len(b.Tokens)))
	b.TableStart = append(b.TableStart, int32(len(b.Tables)))
	b.SeqLen = append(b.SeqLen, int32(end))
	b.Seqs = append(b.Seqs, q.id())
	b.Adapters = append(b.Adapters, q.req.Adapter)
	q.planned = n
	if end == len(q.tokens) {
		s.ask(q)
	}
}

// ask adds a sample for q, and one for each sequence that is to be forked from it, all
// from the last logit row.
func (s *Scheduler) ask(q *seq) {
	row := int32(len(s.batch.LogitRows) - 1)
	for i := range q.seats() {
		id := batch.Seq{Request: q.req.ID, Index: q.index + int32(i)}
		s.batch.Samples = append(s.batch.Samples, batch.Sample{Seq: id, Logit: row})
		s.asked = append(s.asked, q.req)
	}
	q.sampling = true
	s.pending += q.seats()
}
