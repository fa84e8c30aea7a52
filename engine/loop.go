package engine

import (
	"fmt"
	"time"

	"github.com/ingot-llm/ingot/engine/batch"
)

// loop is the engine's only goroutine: take what has been asked, compute a step, again.
func (e *Engine) loop() {
	defer close(e.done)
	defer e.drawer.sampler.Close()
	defer e.dropAll()
	for e.receive() {
		if !e.step() && !e.wait() {
			return // all readers are behind, and the engine is to end
		}
	}
}

// receive carries out the commands at hand, waiting for one while there is nothing to
// compute. It returns false once the engine is to end.
func (e *Engine) receive() bool {
	for {
		e.stats.alive()
		select {
		case f := <-e.commands:
			f()
			continue
		case <-e.stop:
			return false
		default:
		}
		if len(e.tasks) > 0 {
			return true
		}
		e.rest()
		if !e.wait() {
			return false
		}
	}
}

// heartbeat is how often an idle loop shows that it lives.
const heartbeat = time.Second

// wait sleeps until there is a command or a heartbeat is due.
func (e *Engine) wait() bool {
	tick := time.NewTimer(heartbeat)
	defer tick.Stop()
	select {
	case f := <-e.commands:
		f()
	case <-e.stop:
		return false
	case <-tick.C:
	}
	return true
}

// rest tells those who wait for an empty engine, and shows the idle state.
func (e *Engine) rest() {
	for _, f := range e.idle {
		f()
	}
	e.idle = e.idle[:0]
	e.stats.show(e.sched)
}

// step is one turn: schedule, copy what is to be written apart, compute, draw, commit.
// It reports whether there was anything to compute.
func (e *Engine) step() bool {
	start := time.Now()
	e.sched.SetPrice(e.pace.price())
	b := e.sched.Next()
	if b == nil {
		return false
	}
	e.schedule(b, start)
	for _, c := range b.Copies {
		e.cfg.Model.CopyBlock(int(c.Src), int(c.Dst))
	}
	planned := time.Now()
	if err := e.cfg.Model.Run(b); err != nil {
		e.fail(b, err)
		return true
	}
	now := time.Now()
	e.scorePrompts(b)
	e.draw(b)
	for i := range b.Samples {
		e.commit(&b.Samples[i], now)
	}
	e.wakeReaders()
	took := time.Since(start)
	e.pace.observe(loadOf(b), took)
	e.stats.step(b, took, now.Sub(planned), e.sched)
	return true
}

// wakeReaders wakes those who have been told something in this step, all at once: a reader
// that ran at the first token would have to be woken for the next one anew, while others
// still wait for theirs.
func (e *Engine) wakeReaders() {
	for _, s := range e.told {
		s.signal()
	}
	clear(e.told)
	e.told = e.told[:0]
}

// schedule notes when a request was first computed and what the cache gave it.
func (e *Engine) schedule(b *batch.Batch, now time.Time) {
	for _, s := range b.Seqs {
		t := e.tasks[s.Request]
		if t.scheduled {
			continue
		}
		t.scheduled = true
		info, _ := e.sched.Info(t.id)
		t.stream.Update(func(u *Usage, at *Timing) { u.CachedTokens, at.Scheduled = info.CachedTokens, now })
	}
}

// scorePrompts collects the log-probabilities of prompt tokens: row i predicts the token
// after it.
func (e *Engine) scorePrompts(b *batch.Batch) {
	for i, row := range b.LogitRows {
		seq := b.Seqs[b.LogitSeq[i]]
		t := e.tasks[seq.Request]
		next := int(b.Positions[row]) + 1
		if t == nil || t.prompt == nil || seq.Index != 0 || next != len(t.prompt) || next >= len(t.req.Prompt) {
			continue
		}
		tok, err := e.drawer.score(e.cfg.Model.Logits(i), t.req.Prompt[next], t.req.PromptLogprobs)
		if err != nil {
			e.drop(t, FinishError, err)
			continue
		}
		t.prompt = append(t.prompt, tok)
	}
}

// fail ends the requests of a batch that could not be computed.
func (e *Engine) fail(b *batch.Batch, err error) {
	e.cfg.Log.Error("a step failed", "tokens", len(b.Tokens), "sequences", len(b.Seqs), "error", err)
	for _, s := range b.Seqs {
		if t := e.tasks[s.Request]; t != nil {
			e.drop(t, FinishError, fmt.Errorf("the step could not be computed: %w", err))
		}
	}
}

// drop ends a request before its time.
func (e *Engine) drop(t *task, why FinishReason, err error) {
	if e.tasks[t.id] != t {
		return // it has ended already
	}
	e.sched.Cancel(t.id)
	delete(e.tasks, t.id)
	now := time.Now()
	for i := range t.seqs {
		if !t.seqs[i].ended {
			t.stream.Push(Event{Index: i, Finish: why, Err: err, StopID: -1, At: now})
		}
	}
	t.stream.end(now)
}

func (e *Engine) dropAll() {
	for _, t := range e.tasks {
		e.drop(t, FinishAbort, ErrClosed)
	}
}
