package engine

import (
	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/engine/sample"
)

// drawer draws tokens from logits. The loop owns it.
type drawer struct {
	sampler *sample.Sampler
	draws   []sample.Draw
	drawn   []drawn // whose each draw is
	top     []sample.Logprob
}

type drawn struct {
	task *task
	seq  *sequence
}

// draw draws the tokens of the batch's samples into their sequences. All rows of logits are
// read together, by the kernels' threads.
func (e *Engine) draw(b *batch.Batch) {
	d := &e.drawer
	d.draws, d.drawn = d.draws[:0], d.drawn[:0]
	row, logits := int32(-1), []float32(nil)
	for i := range b.Samples {
		s := &b.Samples[i]
		t := e.tasks[s.Seq.Request]
		if t == nil {
			continue // it failed earlier in this step
		}
		if s.Logit != row {
			row, logits = s.Logit, e.cfg.Model.Logits(int(s.Logit))
		}
		q := &t.seqs[s.Seq.Index]
		d.draws = append(d.draws, sample.Draw{Logits: logits, State: q.sampler})
		d.drawn = append(d.drawn, drawn{t, q})
	}
	d.sampler.Sample(d.draws)
	for i := range d.draws {
		d.settle(&d.draws[i], d.drawn[i])
	}
	clear(d.draws) // what has ended is not to be kept
	clear(d.drawn)
}

// settle gives a drawn token to its sequence, with its log-probabilities if the request asked
// for them.
func (d *drawer) settle(from *sample.Draw, to drawn) {
	q := to.seq
	q.token[0], q.failed = Token{ID: from.Token}, from.Err
	if from.Err == nil && to.task.req.Logprobs >= 0 {
		q.token[0], q.failed = d.score(from.Logits, from.Token, to.task.req.Logprobs)
	}
}

// score returns token id with its log-probability in logits and those of the k most
// probable.
func (d *drawer) score(logits []float32, id int32, k int) (Token, error) {
	p, top, err := d.sampler.Logprobs(d.top[:0], logits, id, k)
	d.top = top
	tok := Token{ID: id, Logprob: p}
	for _, t := range top {
		tok.Top = append(tok.Top, TokenLogprob{ID: t.Token, Logprob: t.Logprob})
	}
	return tok, err
}
