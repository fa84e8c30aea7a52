package dedup

import (
	"math"

	"github.com/ingot-llm/ingot/train/words"
)

// Near knows the texts that came before by their sketches. A text is looked up by each of
// its bands (locality-sensitive hashing): what agrees in one is compared by all values.
// It takes some 128 bytes a text, and 11 to 22 for each band, of which a threshold of 0.8
// has 21; half more of the latter while it grows.
type Near struct {
	threshold   float64
	bands, rows int
	slots       []bandSlot
	used        int
	low         [][]byte // of the texts, lowBlock a block
	count       int
	memory      int64
	full        bool
}

// bandSlot says that text number text-1 has a band; text 0: free.
type bandSlot struct{ band, text uint32 }

const (
	lowBlock = 1 << 12
	// maxSame bounds the texts that are looked at and kept for one band: many share one
	// only by what all of them have, such as a page's footer.
	maxSame = 32
)

// NewNear returns an empty index that finds texts of a Jaccard similarity of at least
// threshold, above 0 and at most 1, in up to memory bytes.
func NewNear(threshold float64, memory int64) *Near {
	n := &Near{threshold: threshold, slots: make([]bandSlot, 1<<12), memory: memory}
	n.rows = rowsFor(threshold)
	n.bands = values / n.rows
	return n
}

// rowsFor returns how many values a band has: as many as leave a text of just the
// similarity sought a chance of 99.5 % to agree in a band.
func rowsFor(threshold float64) int {
	rows := 1
	for r := 2; r <= 16; r++ {
		if 1-math.Pow(1-math.Pow(threshold, float64(r)), float64(values/r)) >= 0.995 {
			rows = r
		}
	}
	return rows
}

// Sketch makes a text's sketch from its words; nil if it has none. It is safe for
// concurrent use, with Add too.
func (n *Near) Sketch(w []words.Word) *Sketch { return sketch(w, n.bands, n.rows) }

// Add reports whether a text came before that is similar, and takes this one in if not. A
// text without words, nil, never did.
func (n *Near) Add(s *Sketch) (before bool) {
	if s == nil {
		return false
	}
	for _, band := range s.bands {
		if n.similar(s, band) {
			return true
		}
	}
	if n.room() {
		n.take(s)
	}
	return false
}

// similar looks at the texts that have a band.
func (n *Near) similar(s *Sketch, band uint32) bool {
	mask := uint32(len(n.slots) - 1)
	same := 0
	for at := band & mask; n.slots[at].text != 0 && same < maxSame; at = (at + 1) & mask {
		if n.slots[at].band != band {
			continue
		}
		if similarity(s.low[:], n.lowOf(int(n.slots[at].text-1))) >= n.threshold {
			return true
		}
		same++
	}
	return false
}

func (n *Near) lowOf(text int) []byte {
	return n.low[text/lowBlock][text%lowBlock*values:][:values]
}

// room makes room for one more text, unless there is no memory for it.
func (n *Near) room() bool {
	if n.full {
		return false
	}
	if n.used+n.bands > len(n.slots)/4*3 {
		if n.full = n.bytes()+16*int64(len(n.slots)) > n.memory || len(n.slots) == 1<<31; n.full {
			return false
		}
		n.grow()
	}
	if n.count%lowBlock == 0 {
		if n.full = n.bytes()+lowBlock*values > n.memory || n.count == math.MaxUint32-1; n.full {
			return false
		}
		n.low = append(n.low, make([]byte, lowBlock*values))
	}
	return true
}

// bytes returns the memory in use.
func (n *Near) bytes() int64 { return 8*int64(len(n.slots)) + lowBlock*values*int64(len(n.low)) }

func (n *Near) take(s *Sketch) {
	copy(n.lowOf(n.count), s.low[:])
	n.count++
	for _, band := range s.bands {
		n.put(band, uint32(n.count))
	}
}

// put notes that a text has a band, unless maxSame have.
func (n *Near) put(band, text uint32) {
	mask := uint32(len(n.slots) - 1)
	at, same := band&mask, 0
	for ; n.slots[at].text != 0; at = (at + 1) & mask {
		if n.slots[at].band == band {
			if same++; same == maxSame {
				return
			}
		}
	}
	n.slots[at] = bandSlot{band, text}
	n.used++
}

func (n *Near) grow() {
	old := n.slots
	n.slots, n.used = make([]bandSlot, 2*len(old)), 0
	for _, s := range old {
		if s.text != 0 {
			n.put(s.band, s.text)
		}
	}
}

// Full reports whether a text was not taken in for want of memory.
func (n *Near) Full() bool { return n.full }

// Documents returns how many texts it has.
func (n *Near) Documents() int { return n.count }
