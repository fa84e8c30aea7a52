package kv

// lru lists the cached blocks from least to most recently used, as links between block
// numbers: entry len(next)-1 is the list's head and tail.
type lru struct {
	next, prev []Block
	len        int
}

func newLRU(total int) lru {
	l := lru{next: make([]Block, total+1), prev: make([]Block, total+1)}
	l.next[total], l.prev[total] = Block(total), Block(total)
	return l
}

// end is the entry that closes the ring.
func (l *lru) end() Block { return Block(len(l.next) - 1) }

// oldest returns the least recently used block of a list that is not empty.
func (l *lru) oldest() Block { return l.next[l.end()] }

// add makes b the most recently used block.
func (l *lru) add(b Block) {
	end := l.end()
	last := l.prev[end]
	l.next[last], l.prev[b] = b, last
	l.next[b], l.prev[end] = end, b
	l.len++
}

func (l *lru) remove(b Block) {
	l.next[l.prev[b]], l.prev[l.next[b]] = l.next[b], l.prev[b]
	l.len--
}
