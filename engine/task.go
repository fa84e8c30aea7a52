package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/sched"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// task is a request inside the engine; the loop owns it once it is admitted.
type task struct {
	id        uint64
	adapter   int32 // number of the request's, 0 for none
	req       Request
	stream    *Stream
	seqs      []sequence
	open      int     // sequences that have not ended
	scheduled bool    // computed for the first time
	told      bool    // its reader has had an event
	prompt    []Token // log-probabilities of the prompt so far, if they are asked for
}

// sequence is one of a task's N continuations.
type sequence struct {
	sampler *sample.State
	text    tokenizer.Stream
	stop    stopMatcher
	token   [1]Token // the last one drawn
	failed  error    // why none could be drawn
	piece   []byte   // its text, before stop strings are looked for
	bytes   []byte   // what of the text may be shown
	drawn   int      // tokens
	ended   bool
}

// newTask checks a request and lays out its state; called by the submitter.
func (e *Engine) newTask(r Request) (*task, error) {
	r.Sampling.EOS = e.cfg.EndTokens
	if err := e.check(&r); err != nil {
		return nil, &InvalidError{err}
	}
	t := &task{id: e.nextID.Add(1), adapter: e.adapter(r.Adapter), req: r, seqs: make([]sequence, r.N), open: r.N}
	t.stream = NewStream(r.N, func() { e.cancel(t) })
	t.stream.resume = func() { e.do(func() { e.sched.Hold(t.id, false) }) }
	for i := range t.seqs {
		q := &t.seqs[i]
		q.sampler = sample.NewState(&t.req.Sampling, i, r.Prompt)
		q.stop.stops = r.Stop
		q.text = e.cfg.Tokenizer.Stream(!r.KeepSpecial)
		if slices.ContainsFunc(r.Prompt, e.isText) {
			q.text.Continue() // the answer goes on from the prompt, its first space included
		}
	}
	if r.PromptLogprobs >= 0 {
		t.prompt = make([]Token, max(r.ScoreFrom, 1), len(r.Prompt))
		for i := range t.prompt {
			t.prompt[i].ID = r.Prompt[i]
		}
	}
	t.stream.Update(func(u *Usage, at *Timing) { u.PromptTokens, at.Submitted = len(r.Prompt), time.Now() })
	return t, nil
}

// isText reports whether a token is part of a text, not of its frame.
func (e *Engine) isText(id int32) bool { return !e.cfg.Tokenizer.IsControl(id) }

// check returns what is wrong with a request.
func (e *Engine) check(r *Request) error {
	vocab := e.cfg.Tokenizer.Vocab()
	switch {
	case len(r.Prompt) == 0:
		return fmt.Errorf("the prompt is empty: at least one token is needed")
	case r.N < 1:
		return fmt.Errorf("n is %d, want at least 1", r.N)
	case r.ScoreFrom < 0 || r.ScoreFrom >= len(r.Prompt):
		return fmt.Errorf("the prompt is to be scored from token %d, but it has %d", r.ScoreFrom, len(r.Prompt))
	case r.Adapter != "" && e.adapter(r.Adapter) == 0:
		return fmt.Errorf("there is no adapter %q", r.Adapter)
	case r.MaxTokens < 0:
		return fmt.Errorf("max_tokens is %d, want at least 0", r.MaxTokens)
	}
	for i, id := range r.Prompt {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("token %d of the prompt is %d, but the vocabulary has %d tokens", i, id, vocab)
		}
	}
	return r.Sampling.Validate(vocab)
}

// schedule is the task as the scheduler knows it.
func (t *task) schedule() sched.Request {
	return sched.Request{
		ID: t.id, Key: t.req.Key, Priority: t.req.Priority, Prompt: t.req.Prompt,
		MaxTokens: t.req.MaxTokens, N: t.req.N, Salt: t.req.Salt, Adapter: t.adapter,
		PromptLogits: t.prompt != nil, LogitsFrom: max(t.req.ScoreFrom-1, 0),
	}
}

// commit takes the token drawn for a sequence and tells the reader.
func (e *Engine) commit(s *batch.Sample, now time.Time) {
	t := e.tasks[s.Seq.Request]
	if t == nil {
		return // it failed earlier in this step
	}
	q := &t.seqs[s.Seq.Index]
	if q.failed != nil {
		e.drop(t, FinishError, q.failed)
		return
	}
	ev := Event{Index: int(s.Seq.Index), StopID: -1, At: now}
	t.accept(q, &ev)
	if e.sched.Commit(s.Seq, q.token[0].ID, ev.Finish != FinishNone) && ev.Finish == FinishNone {
		ev.Finish = FinishLength
		q.flush()
	}
	e.tell(t, q, ev)
}

// accept takes the drawn token: what it adds to the text, and whether it ends the
// sequence. A token that ends it has no text.
func (t *task) accept(q *sequence, ev *Event) {
	id := q.token[0].ID
	q.sampler.Accept(id)
	q.drawn++
	q.bytes = q.bytes[:0]
	if t.req.Sampling.Stops(id) {
		ev.Finish, ev.StopID = FinishStop, id
		q.flush()
		return
	}
	fresh := q.text.Append(q.piece[:0], id)
	q.piece = fresh
	if q.drawn <= t.req.Sampling.MinTokens {
		q.bytes = append(q.bytes, fresh...) // no stop string may begin in these
		return
	}
	show, stop := q.stop.push(fresh)
	q.bytes = append(q.bytes, show...)
	if stop != "" {
		ev.Finish, ev.StopString = FinishStop, stop
	}
}

// flush adds the text that was held back, since no more can come.
func (q *sequence) flush() {
	q.piece = q.text.Flush(q.piece[:0])
	show, stop := q.stop.push(q.piece)
	q.bytes = append(q.bytes, show...)
	if stop == "" {
		q.bytes = append(q.bytes, q.stop.flush()...)
	}
}

// tell pushes an event, and ends the task with its last sequence.
func (e *Engine) tell(t *task, q *sequence, ev Event) {
	tokens := q.token[:]
	if t.req.MaxTokens == 0 {
		tokens, q.bytes = nil, q.bytes[:0] // only the prompt was to be scored
	}
	if !t.told {
		t.told = true
		t.stream.SetPrompt(t.prompt)
	}
	if t.stream.deliver(ev, q.bytes, tokens) {
		e.sched.Hold(t.id, true)
	}
	e.told = append(e.told, t.stream)
	if ev.Finish == FinishNone {
		return
	}
	q.ended = true
	if t.open--; t.open == 0 {
		delete(e.tasks, t.id)
		t.stream.end(ev.At)
	}
}
