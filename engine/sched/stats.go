package sched

// Totals counts tokens and events since New.
type Totals struct {
	Prompt      uint64 // prompt tokens of the requests admitted
	Cached      uint64 // of these, found in the cache at the first admission
	Recomputed  uint64 // tokens computed again after preemptions
	Generated   uint64 // tokens committed
	Preemptions uint64
}

// Stats is the scheduler's state in numbers. WaitingRequests have never been admitted;
// the sequences count those that were and wait again, too.
type Stats struct {
	Totals
	WaitingRequests int
	WaitingSeqs     int
	RunningSeqs     int
	FreeBlocks      int
	CachedBlocks    int
	UsedBlocks      int
}

// Stats returns the state as of now.
func (s *Scheduler) Stats() Stats {
	return Stats{
		Totals:          s.total,
		WaitingRequests: s.fresh,
		WaitingSeqs:     s.waiting.len,
		RunningSeqs:     len(s.running),
		FreeBlocks:      s.pool.Free(),
		CachedBlocks:    s.pool.Cached(),
		UsedBlocks:      s.pool.InUse(),
	}
}
