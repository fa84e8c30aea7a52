package bpe

// pairIndex numbers pairs of symbols: an open-addressed hash table, at most half full.
type pairIndex struct {
	slots []pairSlot
	shift uint
	used  int
}

type pairSlot struct {
	left, right int32
	number      int32 // plus one; 0 is empty
}

func newPairIndex() pairIndex {
	const bits = 17 // all pairs of bytes fit in without growing
	return pairIndex{slots: make([]pairSlot, 1<<bits), shift: 64 - bits}
}

// slot returns the slot of a pair, or the empty one where it would lie. The multiplier
// is 2^64 divided by the golden ratio.
func (x *pairIndex) slot(left, right int32) *pairSlot {
	key := uint64(uint32(left))<<32 | uint64(uint32(right))
	for i := key * 0x9E3779B97F4A7C15 >> x.shift; ; i++ {
		s := &x.slots[i&uint64(len(x.slots)-1)]
		if s.number == 0 || s.left == left && s.right == right {
			return s
		}
	}
}

// get returns the number of a pair; one that has none gets fresh.
func (x *pairIndex) get(left, right, fresh int32) int32 {
	s := x.slot(left, right)
	if s.number != 0 {
		return s.number - 1
	}
	*s = pairSlot{left, right, fresh + 1}
	if x.used++; 2*x.used > len(x.slots) {
		x.grow()
	}
	return fresh
}

func (x *pairIndex) grow() {
	old := x.slots
	x.slots = make([]pairSlot, 2*len(old))
	x.shift--
	for _, s := range old {
		if s.number != 0 {
			*x.slot(s.left, s.right) = s
		}
	}
}
