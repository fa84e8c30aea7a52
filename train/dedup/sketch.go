package dedup

import (
	"math"
	"math/bits"

	"github.com/ingot-llm/ingot/train/words"
)

// Shape of a MinHash sketch (Broder 1997): of each of groups hash functions the least
// value in each of bins (one permutation hashing, Li et al. 2012), so that a shingle costs
// groups hashes and not one for each value. A bin without a shingle takes the value of
// another, by optimal densification (Shrivastava 2017).
const (
	groups = 8
	bins   = 16
	values = groups * bins

	// shingle is the length of what texts are compared by, in words.
	shingle = 5
)

// Sketch stands for the set of a text's shingles. Two texts agree in a value with a chance
// of their Jaccard similarity: the shingles that they share, of all that either has.
type Sketch struct {
	low   [values]byte // of each value, the low bits
	bands []uint32     // hashes of rows values each, which find similar texts
}

// sketch makes one; nil of a text without words.
func sketch(w []words.Word, bands, rows int) *Sketch {
	var least [values]uint64
	for i := range least {
		least[i] = math.MaxUint64
	}
	if !shingles(w, &least) {
		return nil
	}
	densify(&least)
	s := &Sketch{bands: make([]uint32, bands)}
	for i, v := range least {
		s.low[i] = byte(v)
	}
	for b := range s.bands {
		h := uint64(b)
		for _, v := range least[b*rows : (b+1)*rows] {
			h = words.Mix(h*0x9e3779b97f4a7c15 + v)
		}
		s.bands[b] = uint32(h)
	}
	return s
}

// shingles enters those of a text, of which one with fewer words has one. It reports
// whether there is any.
func shingles(w []words.Word, least *[values]uint64) (any bool) {
	for _, h := range words.Sequences(w, min(shingle, words.Known(w))) {
		enter(h, least)
		any = true
	}
	return any
}

// enter lowers the values of a shingle's bins.
func enter(sum uint64, least *[values]uint64) {
	for g := range groups {
		hi, lo := bits.Mul64(sum^seeds[g], 0xd6e8feb86659fd93)
		h := words.Mix(hi ^ lo)
		at := &least[g*bins+int(h%bins)]
		*at = min(*at, h/bins)
	}
}

// seeds tell the hash functions apart.
var seeds = func() (s [groups]uint64) {
	for g := range s {
		s[g] = words.Mix(uint64(g) + 0x2545f4914f6cdd1d)
	}
	return s
}()

func densify(least *[values]uint64) {
	for g := range groups {
		group := least[g*bins : (g+1)*bins]
		var filled [bins]uint64
		copy(filled[:], group)
		for b, v := range filled {
			for try := uint64(1); v == math.MaxUint64; try++ {
				v = filled[words.Mix(uint64(g*bins+b)<<32|try)%bins]
			}
			group[b] = v
		}
	}
}

// Similarity estimates the Jaccard similarity of two texts: the share of values that agree,
// less that of low bits that agree by chance.
func (s *Sketch) Similarity(of *Sketch) float64 { return similarity(s.low[:], of.low[:]) }

func similarity(x, y []byte) float64 {
	same := 0
	for i, v := range x {
		if v == y[i] {
			same++
		}
	}
	const chance = 1.0 / 256
	return (float64(same)/values - chance) / (1 - chance)
}
