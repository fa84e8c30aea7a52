package sched

import (
	"fmt"

	"github.com/ingot-llm/ingot/kv"
)

// Check verifies the invariants of the scheduler and of its block pool, and returns the
// first that is broken. It walks everything and is meant for tests and an idle engine.
func (s *Scheduler) Check() error {
	tables := make([]*kv.Table, len(s.running))
	for i, q := range s.running {
		tables[i] = &q.table
	}
	if err := s.pool.Check(tables...); err != nil {
		return err
	}
	if err := s.checkRunning(); err != nil {
		return err
	}
	if err := s.checkRequests(); err != nil {
		return err
	}
	return s.waiting.check()
}

func (s *Scheduler) checkRunning() error {
	seats, reserved := s.seats, 0
	for i, q := range s.running {
		seats += q.seats()
		reserved += s.reserve(q)
		if i > 0 && !s.running[i-1].before(q) {
			return fmt.Errorf("running sequence %v is out of rank order", q.id())
		}
		if q.line != nil || q.req.seqs[q.index] != q {
			return fmt.Errorf("running sequence %v also waits or is not its request's", q.id())
		}
		if s.reserve(q) < 0 || q.computed+q.planned > len(q.tokens) {
			return fmt.Errorf("running sequence %v: reserve %d, computed %d and planned %d of %d tokens", q.id(), s.reserve(q), q.computed, q.planned, len(q.tokens))
		}
	}
	if seats != s.cfg.MaxSeqs || s.seats < 0 {
		return fmt.Errorf("%d seats are free and taken, of %d", seats, s.cfg.MaxSeqs)
	}
	if reserved != s.reserved || reserved > s.pool.Available() {
		return fmt.Errorf("%d blocks are reserved, %d counted, %d available", reserved, s.reserved, s.pool.Available())
	}
	return nil
}

func (s *Scheduler) checkRequests() error {
	fresh, waiting, running := 0, 0, 0
	var waits, runs perAdapter
	for id, r := range s.requests {
		live := 0
		for _, q := range r.seqs {
			if q == nil {
				continue
			}
			live += q.seats()
			switch {
			case q.parked && (q.line != nil || len(q.table.Blocks) > 0 || !r.held):
				return fmt.Errorf("parked sequence %v also waits, or holds blocks, or is not on hold", q.id())
			case q.parked:
			case q.line != nil:
				waiting++
				waits.add(q, 1)
			default:
				running++
				runs.add(q, 1)
			}
		}
		if live != r.live || live == 0 {
			return fmt.Errorf("request %d has %d live sequences, %d counted", id, live, r.live)
		}
		if !r.admitted {
			fresh++
		}
	}
	if fresh != s.fresh || waiting != s.waiting.len || running != len(s.running) {
		return fmt.Errorf("%d requests are fresh (%d counted), %d sequences wait (%d), %d run (%d)", fresh, s.fresh, waiting, s.waiting.len, running, len(s.running))
	}
	for i, load := range s.AdapterLoads(nil) {
		if load.Running != runs.of(i) || load.Waiting != waits.of(i) {
			return fmt.Errorf("of adapter %d %d sequences run and %d wait, counted %+v", i+1, runs.of(i), waits.of(i), load)
		}
	}
	return nil
}

// check verifies the links, the heaps and the accounts' counts.
func (w *queue) check() error {
	waiting, total := map[*account]int{}, 0
	for i, l := range w.order {
		if l.at != i || i > 0 && l.before(w.order[(i-1)/2]) || w.lines[l.lineKey] != l || l.ranked > l.account.served {
			return fmt.Errorf("line %q is misplaced in its heap", l.account.key)
		}
		for q := l.first; q != nil; q = q.next {
			if q.line != l || q.next == nil && l.last != q || q.next != nil && (q.next.prev != q || !q.before(q.next)) {
				return fmt.Errorf("sequence %v is linked wrongly", q.id())
			}
			waiting[l.account]++
			total++
		}
	}
	if total != w.len || len(w.order) != len(w.lines) {
		return fmt.Errorf("%d sequences wait in %d lines, %d in %d counted", total, len(w.order), w.len, len(w.lines))
	}
	return w.checkAccounts(waiting)
}

func (w *queue) checkAccounts(waiting map[*account]int) error {
	active, rest := 0, 0
	for key, a := range w.accounts {
		if waiting[a] != a.waiting || a.waiting > 0 && (w.active[a.at] != a || a.ranked > a.served) {
			return fmt.Errorf("key %q has %d waiting sequences, %d counted", key, waiting[a], a.waiting)
		}
		if (a.live == 0) != (a.rest != nil) || a.rest != nil && w.resting[a.rest.at] != a.rest {
			return fmt.Errorf("key %q with %d live requests is misplaced among the resting", key, a.live)
		}
		if a.waiting > 0 {
			active++
		}
		if a.rest != nil {
			rest++
		}
	}
	if active != len(w.active) || rest != len(w.resting) {
		return fmt.Errorf("%d keys are active (%d counted), %d rest (%d)", active, len(w.active), rest, len(w.resting))
	}
	return nil
}
