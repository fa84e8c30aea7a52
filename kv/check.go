package kv

import "fmt"

// Check verifies the Pool's invariants, given every table that holds blocks, and
// returns the first that is broken. It costs time in proportion to the pool and is
// meant for tests and for an idle engine.
func (p *Pool) Check(tables ...*Table) error {
	if err := p.checkOwners(tables); err != nil {
		return err
	}
	state, err := p.states()
	if err != nil {
		return err
	}
	for b, s := range state {
		if err := p.checkBlock(Block(b), s); err != nil {
			return err
		}
	}
	return p.checkIndex()
}

// checkOwners compares the reference counts with the tables.
func (p *Pool) checkOwners(tables []*Table) error {
	owners := make([]int32, p.Total())
	for _, t := range tables {
		for _, b := range t.Blocks {
			owners[b]++
		}
	}
	for b, n := range owners {
		if n != p.refs[b] {
			return fmt.Errorf("block %d has %d owners but counts %d", b, n, p.refs[b])
		}
	}
	return nil
}

// states walks the free stack and the LRU ring and returns how often each block is in
// either: 1 for free, 2 for cached, 0 for neither.
func (p *Pool) states() ([]int, error) {
	state := make([]int, p.Total())
	for _, b := range p.free {
		if state[b] != 0 {
			return nil, fmt.Errorf("block %d is free twice", b)
		}
		state[b] = 1
	}
	n := 0
	for b := p.cached.next[p.cached.end()]; b != p.cached.end(); b = p.cached.next[b] {
		if state[b] != 0 {
			return nil, fmt.Errorf("block %d is cached and free, or cached twice", b)
		}
		if p.cached.prev[p.cached.next[b]] != b {
			return nil, fmt.Errorf("the links around cached block %d disagree", b)
		}
		state[b] = 2
		n++
	}
	if n != p.cached.len {
		return nil, fmt.Errorf("%d blocks are cached but %d counted", n, p.cached.len)
	}
	return state, nil
}

func (p *Pool) checkBlock(b Block, state int) error {
	switch {
	case (p.refs[b] > 0) != (state == 0):
		return fmt.Errorf("block %d has %d owners and is in list %d", b, p.refs[b], state)
	case state == 1 && p.published[b]:
		return fmt.Errorf("free block %d is published", b)
	case state == 2 && !p.published[b]:
		return fmt.Errorf("cached block %d is not published", b)
	}
	if at, ok := p.index[p.hash[b]]; p.published[b] && (!ok || at != b) {
		return fmt.Errorf("block %d is published but its hash finds %d (%v)", b, at, ok)
	}
	return nil
}

func (p *Pool) checkIndex() error {
	published := 0
	for _, is := range p.published {
		if is {
			published++
		}
	}
	if published != len(p.index) {
		return fmt.Errorf("%d blocks are published but the index holds %d", published, len(p.index))
	}
	return nil
}
