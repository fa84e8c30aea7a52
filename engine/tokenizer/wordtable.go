package tokenizer

import "hash/maphash"

// wordTable finds the id of a whole word: an open-addressed hash table, at most half
// full, over strings that it keeps.
type wordTable struct {
	seed  maphash.Seed
	slots []wordSlot
	words []string
	used  int
}

type wordSlot struct {
	hash uint32
	word int32 // index into words plus one; 0 is empty
	id   int32
}

func newWordTable(n int) *wordTable {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return &wordTable{seed: maphash.MakeSeed(), slots: make([]wordSlot, size)}
}

// get returns the id of word, or -1.
func (t *wordTable) get(word string) int32 {
	h := maphash.String(t.seed, word)
	for i := h >> 32; ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.word == 0 {
			return -1
		}
		if s.hash == uint32(h) && t.words[s.word-1] == word {
			return s.id
		}
	}
}

// set adds word unless it is there. The table was made large enough for all.
func (t *wordTable) set(word string, id int32) {
	if 2*(t.used+1) > len(t.slots) {
		panic("BUG: a word table is filled beyond what it was made for")
	}
	h := maphash.String(t.seed, word)
	for i := h >> 32; ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.word != 0 && (s.hash != uint32(h) || t.words[s.word-1] != word) {
			continue
		}
		if s.word == 0 {
			t.words = append(t.words, word)
			*s = wordSlot{uint32(h), int32(len(t.words)), id}
			t.used++
		}
		return
	}
}
