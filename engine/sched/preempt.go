package sched

import (
	"fmt"

	"github.com/ingot-llm/ingot/kv"
)

// pinned reports whether q is never to be preempted again.
func (s *Scheduler) pinned(q *seq) bool { return q.preemptions >= s.patience }

// reserve returns the blocks set aside for a running sequence: of a pinned one what it
// has yet to take in the worst case.
func (s *Scheduler) reserve(q *seq) int {
	if !s.pinned(q) {
		return 0
	}
	return kv.Blocks(q.limit()) - len(q.table.Blocks)
}

// makeRoom gives each running sequence the blocks for the token that it computes next,
// in rank order, preempting from the other end where none are left. Nothing that has
// been given a copy to make is preempted after it: the victim is never higher in rank.
func (s *Scheduler) makeRoom() {
	for i := 0; i < len(s.running); {
		if q := s.running[i]; s.roomFor(q) {
			s.grow(q)
			i++
		}
	}
}

// roomFor preempts until q has room to grow. It returns false if q itself had to go.
func (s *Scheduler) roomFor(q *seq) bool {
	for s.pool.Need(&q.table, q.computed, len(q.tokens)) > s.spare(q) {
		v := s.victim()
		if v == nil {
			panic(fmt.Sprintf("BUG: no block for request %d and nothing to preempt", q.req.ID))
		}
		s.preempt(v)
		if v == q {
			return false
		}
	}
	return true
}

// spare returns how many blocks q may take: those available, but for what is set aside
// for others. A pinned sequence finds its reserve there. It can need one block more, to
// copy a block that it shares with its forks, and those can be preempted.
func (s *Scheduler) spare(q *seq) int {
	return s.pool.Available() - s.reserved + s.reserve(q)
}

// grow makes room for all tokens of q.
func (s *Scheduler) grow(q *seq) {
	s.reserved -= s.reserve(q)
	s.batch.Copies = s.pool.Grow(&q.table, q.computed, len(q.tokens), s.batch.Copies)
	s.reserved += s.reserve(q)
}

// victim returns the running sequence of lowest rank that is not pinned, or nil.
func (s *Scheduler) victim() *seq {
	for i := len(s.running) - 1; i >= 0; i-- {
		if q := s.running[i]; !s.pinned(q) {
			return q
		}
	}
	return nil
}

// preempt lets a running sequence wait again. Its full blocks stay cached while nobody
// needs their memory.
func (s *Scheduler) preempt(q *seq) {
	s.leave(q)
	q.preemptions++
	q.req.preempts++
	s.total.Preemptions++
	s.waiting.push(q)
}

// preemptFor preempts one running sequence of lower priority than q, which waits and
// does not fit. It does so only if q could fit once all such sequences are gone.
func (s *Scheduler) preemptFor(q *seq, f kv.Prefix) bool {
	seats, blocks, left := s.seats, s.pool.Available()-s.reserved, 0
	need := s.cost(q, f)
	for _, v := range s.running {
		if v.req.Priority > q.req.Priority && !s.pinned(v) {
			seats += v.seats()
			blocks += len(v.table.Blocks) // more than it frees where blocks are shared
		} else {
			left++
			need += s.growth(v)
		}
	}
	if left > 0 {
		need += s.growth(q)*q.seats() - 1
	}
	if seats < q.seats() || blocks < need {
		return false
	}
	s.preempt(s.victim()) // of lower priority: without one q would fit now or not at all
	return true
}
