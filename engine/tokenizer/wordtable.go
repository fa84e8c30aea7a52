package tokenizer

import (
	"hash/maphash"
	"math/bits"
)

// wordTable finds the id of a whole word: an open-addressed hash table, at most half
// full, over the keys of short words, so that a look-up touches one line of memory.
// Longer words, which are few, are in a map.
type wordTable struct {
	seed  uint64
	shift uint
	slots []wordSlot
	used  int
	long  map[string]int32
}

type wordSlot struct {
	lo, hi uint64
	n      uint32 // of the key; 0 is empty
	id     int32
}

// newWordTable makes a table for up to n words. Its seed is random, so that no file can
// choose where its words lie.
func newWordTable(n int) *wordTable {
	size := bits.Len(uint(max(8, n))) + 1
	seed := maphash.String(maphash.MakeSeed(), "")
	return &wordTable{seed: seed, shift: uint(64 - size), slots: make([]wordSlot, 1<<size), long: map[string]int32{}}
}

// slot returns the slot of a key, or the empty one where it would lie.
func (t *wordTable) slot(k wordKey) *wordSlot {
	for i := k.hash(t.seed) >> t.shift; ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.n == 0 || s.lo == k.lo && s.hi == k.hi && s.n == k.n {
			return s
		}
	}
}

// get returns the id of word, whose key is k, or -1.
func (t *wordTable) get(word string, k wordKey) int32 {
	if k.n == 0 {
		if id, ok := t.long[word]; ok {
			return id
		}
		return -1
	}
	if s := t.slot(k); s.n != 0 {
		return s.id
	}
	return -1
}

// set adds word unless it is there. The table was made large enough for all.
func (t *wordTable) set(word string, id int32) {
	k := keyOf(word)
	if k.n == 0 {
		if _, ok := t.long[word]; !ok {
			t.long[word] = id
		}
		return
	}
	s := t.slot(k)
	if s.n != 0 {
		return
	}
	if t.used++; 2*t.used > len(t.slots) {
		panic("BUG: a word table is filled beyond what it was made for")
	}
	*s = wordSlot{k.lo, k.hi, k.n, id}
}
