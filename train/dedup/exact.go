package dedup

// Exact knows the texts that came before by their keys: an open hash table, at most 3/4
// full, of 11 to 22 bytes a text, and of 32 while it grows.
type Exact struct {
	slots []Key // 0: free; the key 0 is kept as 1
	count int
	most  int // slots, the old ones included while the table grows
	full  bool
}

// NewExact returns an empty index that takes up to memory bytes.
func NewExact(memory int64) *Exact {
	return &Exact{slots: make([]Key, 1024), most: int(memory / 8)}
}

// Add reports whether the key came before, and takes it in if not.
func (e *Exact) Add(k Key) (before bool) {
	k = max(k, 1)
	at := e.find(k)
	if e.slots[at] == k {
		return true
	}
	if e.count >= len(e.slots)/4*3 {
		if e.full = 3*len(e.slots) > e.most; e.full {
			return false
		}
		e.grow()
		at = e.find(k)
	}
	e.slots[at] = k
	e.count++
	return false
}

// Has reports whether the key came before. It is safe for concurrent use without Add.
func (e *Exact) Has(k Key) bool { return e.slots[e.find(max(k, 1))] != 0 }

// find returns where k lies, or the free slot where it would.
func (e *Exact) find(k Key) int {
	at := int(k) & (len(e.slots) - 1)
	for e.slots[at] != k && e.slots[at] != 0 {
		at = (at + 1) & (len(e.slots) - 1)
	}
	return at
}

func (e *Exact) grow() {
	old := e.slots
	e.slots = make([]Key, 2*len(old))
	for _, k := range old {
		if k != 0 {
			e.slots[e.find(k)] = k
		}
	}
}

// Full reports whether a text was not taken in for want of memory.
func (e *Exact) Full() bool { return e.full }

// Documents returns how many texts it has.
func (e *Exact) Documents() int { return e.count }
