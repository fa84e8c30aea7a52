package sched

// AdapterLoad counts the sequences that go with an adapter.
type AdapterLoad struct{ Running, Waiting int }

// AdapterLoads appends the load of each adapter, in order, to to. Those behind the last
// one that was ever asked for are left out.
func (s *Scheduler) AdapterLoads(to []AdapterLoad) []AdapterLoad {
	for i := range max(len(s.busy), len(s.waiting.adapters)) {
		to = append(to, AdapterLoad{s.busy.of(i), s.waiting.adapters.of(i)})
	}
	return to
}

// perAdapter counts sequences by adapter, those without one apart.
type perAdapter []int

func (c *perAdapter) add(q *seq, n int) {
	i := int(q.req.Adapter) - 1
	if i < 0 {
		return
	}
	for len(*c) <= i {
		*c = append(*c, 0)
	}
	(*c)[i] += n
}

func (c perAdapter) of(i int) int {
	if i < len(c) {
		return c[i]
	}
	return 0
}
