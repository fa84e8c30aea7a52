package tokenizer

// pairTable tells for two neighbouring symbols whether they merge, how early (a lower
// rank merges first) and into what: an open-addressed hash table, at most half full.
type pairTable struct {
	slots []pairSlot
	shift uint
	used  int
}

type pairSlot struct {
	key  uint64 // left id << 32 | right id
	rank uint32
	id   int32
}

// noPair marks an empty slot and, as a rank, a pair that does not merge.
const (
	noPair = ^uint64(0)
	noRank = ^uint32(0)
)

func newPairTable(n int) *pairTable {
	bits := uint(4)
	for 1<<bits < 2*n {
		bits++
	}
	t := &pairTable{slots: make([]pairSlot, 1<<bits), shift: 64 - bits}
	for i := range t.slots {
		t.slots[i].key = noPair
	}
	return t
}

// slot returns the slot of key, or the empty one where it would lie. The multiplier
// is 2^64 divided by the golden ratio.
func (t *pairTable) slot(key uint64) *pairSlot {
	i := (key * 0x9E3779B97F4A7C15) >> t.shift
	for {
		s := &t.slots[i]
		if s.key == key || s.key == noPair {
			return s
		}
		i = (i + 1) & uint64(len(t.slots)-1)
	}
}

// get returns the rank and the merged id of a pair; noRank where there is none.
func (t *pairTable) get(left, right int32) (rank uint32, id int32) {
	s := t.slot(uint64(uint32(left))<<32 | uint64(uint32(right)))
	if s.key == noPair {
		return noRank, -1
	}
	return s.rank, s.id
}

// set adds a pair; of two entries for one pair the first stays.
func (t *pairTable) set(left, right int32, rank uint32, id int32) {
	if 2*(t.used+1) > len(t.slots) {
		t.grow()
	}
	key := uint64(uint32(left))<<32 | uint64(uint32(right))
	if s := t.slot(key); s.key == noPair {
		*s = pairSlot{key, rank, id}
		t.used++
	}
}

func (t *pairTable) grow() {
	bigger := newPairTable(len(t.slots))
	for _, s := range t.slots {
		if s.key != noPair {
			*bigger.slot(s.key) = s
		}
	}
	bigger.used = t.used
	*t = *bigger
}
