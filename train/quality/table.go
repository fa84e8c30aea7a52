package quality

import "math/bits"

// table counts 64-bit hashes: open, at most half full.
type table struct {
	slots []slot
	mask  uint64
}

type slot struct {
	key   uint64 // 0: free; the hash 0 is kept as 1
	count int
}

// reset empties the table for up to n hashes.
func (t *table) reset(n int) {
	size := 1 << bits.Len(uint(2*n))
	if size > len(t.slots) {
		t.slots = make([]slot, size)
	} else {
		clear(t.slots[:size])
	}
	t.mask = uint64(size - 1)
}

func (t *table) find(h uint64) *slot {
	h = max(h, 1)
	for at := h & t.mask; ; at = (at + 1) & t.mask {
		if s := &t.slots[at]; s.key == h || s.key == 0 {
			return s
		}
	}
}

func (t *table) has(h uint64) bool { return t.find(h).count > 0 }

// add counts a hash and returns how often it has come.
func (t *table) add(h uint64) int {
	s := t.find(h)
	s.key = max(h, 1)
	s.count++
	return s.count
}
