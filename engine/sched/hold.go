package sched

// Hold keeps a request from being computed, or lets it go on: for a reader that does not
// keep up. From the next Next on its sequences have neither seat nor blocks; their full
// blocks stay cached while nobody needs the memory. They go on as preempted ones do, but
// it does not count as a preemption. Hold reports whether the request is live.
func (s *Scheduler) Hold(id uint64, held bool) bool {
	r, live := s.requests[id]
	if !live || r.held == held {
		return live
	}
	r.held = held
	for _, q := range r.seqs {
		if q != nil && q.parked {
			q.parked = false
			s.waiting.push(q)
		}
	}
	return true
}

// park takes the sequences of held requests out of the running ones.
func (s *Scheduler) park() {
	for i := len(s.running) - 1; i >= 0; i-- {
		if q := s.running[i]; q.req.held {
			s.leave(q)
			q.parked = true
		}
	}
}
