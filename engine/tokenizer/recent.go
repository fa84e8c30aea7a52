package tokenizer

// recentWords remembers how words that are not one token came out: a direct-mapped cache
// of fixed size, each entry the last word that fell on it. It serves one goroutine. The
// zero value is empty.
type recentWords [1 << recentBits]recentWord

const (
	recentBits = 12
	recentIDs  = 5 // tokens of a word that is remembered
	recentSeed = 0x9E3779B97F4A7C15
)

type recentWord struct {
	lo, hi uint64
	n      uint8 // bytes of the word; 0 is empty
	count  uint8
	ids    [recentIDs]int32
}

func (c *recentWords) at(k wordKey) *recentWord { return &c[k.hash(recentSeed)>>(64-recentBits)] }

// is reports whether the entry holds the word of a key.
func (w *recentWord) is(k wordKey) bool {
	return w.lo == k.lo && w.hi == k.hi && uint32(w.n) == k.n && k.n != 0
}

// put makes the entry hold the word of a key, where its tokens fit in.
func (w *recentWord) put(k wordKey, ids []int32) {
	if k.n == 0 || len(ids) > recentIDs {
		return
	}
	w.lo, w.hi, w.n, w.count = k.lo, k.hi, uint8(k.n), uint8(len(ids))
	copy(w.ids[:], ids)
}
