package sched

import (
	"strconv"

	"fmt"

	"github.com/ingot-llm/ingot/kv"
)

// admit lets waiting sequences run while the step has prompt rows for them. The first
// that does not fit ends it: to let others pass would starve it.
func (s *Scheduler) admit() {
	if s.crowded() {
		return
	}
	for q := s.waiting.head(); q != nil && s.servable(q); q = s.waiting.head() {
		if q.req.held {
			s.waiting.remove(q)
			q.parked = true
			continue
		}
		f := s.lookup(q)
		for !s.fits(q, f) {
			if !s.preemptFor(q, f) {
				return
			}
			f = s.lookup(q)
		}
		s.start(q, f)
	}
}

// crowded reports that nothing can start: there is no seat, or no block beyond the one
// for each running sequence, and nothing to preempt. It spares a step of a busy engine
// the look at the queue, whose lines change their order with every token served.
func (s *Scheduler) crowded() bool {
	if s.seats > 0 && s.pool.Available()-s.reserved > len(s.running) || len(s.running) == 0 {
		return false
	}
	v := s.victim()
	return v == nil || s.waiting.urgent() >= v.req.Priority
}

// servable reports whether the step has prompt rows left for q after the running
// sequences that come before it.
func (s *Scheduler) servable(q *seq) bool {
	decodes := 0
	for _, o := range s.running {
		if o.rest() == 1 {
			decodes++
		}
	}
	budget := s.budget(decodes)
	for _, o := range s.running {
		if o.rest() > 1 && o.before(q) {
			budget.take(o.computed, min(o.rest(), s.cfg.ChunkTokens))
		}
	}
	return budget.take(0, leastRows) > 0
}

// lookup finds the beginning of a waiting sequence in the cache.
func (s *Scheduler) lookup(q *seq) kv.Prefix {
	if q.chain == nil {
		r := q.req
		q.chain = kv.NewChain(kv.Root(s.cfg.Model, strconv.Itoa(int(r.Adapter)), r.Salt), len(r.Prompt)+r.MaxTokens)
	}
	q.chain.Extend(q.tokens)
	f := s.pool.Lookup(s.found, q.chain, q.tokens, q.reusable())
	s.found = f.Blocks
	return f
}

// fits reports whether q can start now. It must find blocks for all its tokens, for its
// whole life if it is pinned. Beside others it must also leave what they and it are
// expected to take yet: a sequence that starts only to push another out gains nothing.
func (s *Scheduler) fits(q *seq, f kv.Prefix) bool {
	if s.seats < q.seats() {
		return false
	}
	free := s.pool.Available() - s.reserved - s.cost(q, f)
	if len(s.running) == 0 {
		if free < 0 {
			panic(fmt.Sprintf("BUG: request %d was accepted but misses %d blocks of an idle cache", q.req.ID, -free))
		}
		return true
	}
	for _, o := range s.running {
		free -= s.growth(o)
	}
	return free >= s.growth(q)*q.seats()-1
}

// growth returns how many blocks more than for its tokens a sequence is expected to take:
// for an answer of usual length or, once it is longer, a quarter more; at least the next.
func (s *Scheduler) growth(q *seq) int {
	if s.pinned(q) {
		return 1 // the rest is reserved
	}
	left := max(s.usual-len(q.tokens)+len(q.req.Prompt), s.usual/4)
	end := min(len(q.tokens)+left, q.limit())
	return max(1, kv.Blocks(end)-kv.Blocks(len(q.tokens)))
}

// cost returns how many of the available blocks are gone once q has started.
func (s *Scheduler) cost(q *seq, f kv.Prefix) int {
	if s.pinned(q) {
		return f.Cost(q.limit())
	}
	return f.Cost(len(q.tokens))
}

// start moves q from the queue to the running sequences.
func (s *Scheduler) start(q *seq, f kv.Prefix) {
	s.waiting.remove(q)
	s.count(q, f.Tokens())
	if q.table.Blocks == nil {
		q.table.Blocks = make([]kv.Block, 0, kv.Blocks(q.limit()))
	}
	s.pool.Open(&q.table, f)
	q.computed = f.Tokens()
	s.batch.Copies = s.pool.Grow(&q.table, q.computed, len(q.tokens), s.batch.Copies)
	s.seats -= q.seats()
	s.reserved += s.reserve(q)
	s.enter(q)
}

// count keeps the books of an admission, of which cached tokens come from the cache.
// The first one charges the prompt to the key; to compute it again is our doing.
func (s *Scheduler) count(q *seq, cached int) {
	if r := q.req; !r.admitted {
		r.admitted, r.cached = true, cached
		r.account.served += int64(len(r.Prompt))
		s.fresh--
		q.own()
		s.total.Prompt += uint64(len(r.Prompt))
		s.total.Cached += uint64(cached)
	} else {
		s.total.Recomputed += uint64(len(q.tokens) - cached)
	}
}
