package words

import "iter"

// MaxSequence bounds the length of Sequences.
const MaxSequence = 16

// Sequences gives each sequence of n words that have letters or digits, n at most
// MaxSequence: the number of its last word and a hash of all. Of n = 0 there is none.
func Sequences(w []Word, n int) iter.Seq2[int, uint64] {
	const base = 0x9e3779b97f4a7c15
	power := uint64(1) // of base, for the word that leaves
	for range n {
		power *= base
	}
	return func(yield func(int, uint64) bool) {
		if n < 1 {
			return
		}
		var last [MaxSequence]uint64
		sum, at, seen := uint64(0), 0, 0
		for i := range w {
			h := w[i].Hash
			if h == 0 {
				continue
			}
			sum = sum*base + h - power*last[at]
			last[at] = h
			if at++; at == n {
				at = 0
			}
			if seen++; seen >= n && !yield(i, sum) {
				return
			}
		}
	}
}

// Known counts the words that have letters or digits.
func Known(w []Word) (n int) {
	for i := range w {
		if w[i].Hash != 0 {
			n++
		}
	}
	return n
}
