package engine

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/engine/sample"
)

// drawer draws tokens from logits. It belongs to one goroutine.
type drawer struct {
	sampler sample.Sampler
	top     []sample.Logprob
}

// draw chooses a sequence's next token from its logits, with its log-probabilities if the
// request asked for them.
func (d *drawer) draw(t *task, q *sequence, logits []float32) error {
	id, err := d.sampler.Sample(logits, q.sampler)
	if err != nil {
		return err
	}
	q.token[0] = Token{ID: id}
	if t.req.Logprobs >= 0 {
		q.token[0], err = d.score(logits, id, t.req.Logprobs)
	}
	return err
}

// score returns token id with its log-probability and those of the k most probable.
func (d *drawer) score(logits []float32, id int32, k int) (Token, error) {
	p, top, err := d.sampler.Logprobs(d.top[:0], logits, id, k)
	d.top = top
	tok := Token{ID: id, Logprob: p}
	for _, t := range top {
		tok.Top = append(tok.Top, TokenLogprob{ID: t.Token, Logprob: t.Logprob})
	}
	return tok, err
}

// crew draws a step's tokens: the loop and its helpers take one row of logits after
// another, while the kernels' threads have nothing to do. A token depends on its row and
// its sequence alone, so it is all one who draws it. A helper that the system has not
// woken when the rows are gone is not waited for.
type crew struct {
	work func(d *drawer) // takes rows until none is left
	wake chan struct{}   // cap: the helpers
	next atomic.Int64    // sample to be drawn
	mu   sync.Mutex
	open bool      // there are rows to take; under mu
	busy int       // helpers at work; under mu
	idle sync.Cond // busy is 0
}

// rowsEach is for how many rows a helper is woken, which takes as long as to draw one or
// two.
const rowsEach = 4

// newCrew starts a helper for each processor but the loop's own. They end when wake is
// closed.
func newCrew(work func(d *drawer)) *crew {
	c := &crew{work: work, wake: make(chan struct{}, runtime.GOMAXPROCS(0)-1)}
	c.idle.L = &c.mu
	for range cap(c.wake) {
		go c.help()
	}
	return c
}

// help is a helper's life.
func (c *crew) help() {
	d := &drawer{}
	for range c.wake {
		if c.enter() {
			c.work(d)
			c.leave()
		}
	}
}

// enter reports whether there is still work.
func (c *crew) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open {
		c.busy++
	}
	return c.open
}

func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy--; c.busy == 0 {
		c.idle.Signal()
	}
}

// share has rows worked off by the caller and as many helpers as they are worth.
func (c *crew) share(rows int, d *drawer) {
	c.next.Store(0)
	c.mu.Lock()
	c.open = true
	c.mu.Unlock()
	for range min(cap(c.wake), (rows-1)/rowsEach) {
		select {
		case c.wake <- struct{}{}:
		default: // one is about to wake
		}
	}
	c.work(d)
	c.mu.Lock()
	c.open = false
	for c.busy > 0 {
		c.idle.Wait()
	}
	c.mu.Unlock()
}

// draw draws the tokens of the batch's samples into their sequences.
func (e *Engine) draw(b *batch.Batch) {
	e.drawn = b.Samples
	e.crew.share(len(b.Samples), &e.drawer)
}

// drawSamples draws samples until none is left. Those that share a row, which drawing
// changes for a while, are drawn by one.
func (e *Engine) drawSamples(d *drawer) {
	for {
		i := int(e.crew.next.Add(1)) - 1
		if i >= len(e.drawn) {
			return
		}
		row := e.drawn[i].Logit
		if i > 0 && e.drawn[i-1].Logit == row {
			continue // drawn with the one before
		}
		for ; i < len(e.drawn) && e.drawn[i].Logit == row; i++ {
			s := e.drawn[i].Seq
			if t := e.tasks[s.Request]; t != nil {
				q := &t.seqs[s.Index]
				q.failed = d.draw(t, q, e.cfg.Model.Logits(int(row)))
			}
		}
	}
}
