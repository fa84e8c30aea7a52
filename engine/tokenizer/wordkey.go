package tokenizer

import "math/bits"

// wordKey is a word of 1 to shortWordBytes bytes as numbers: equal keys are equal words.
type wordKey struct {
	lo, hi uint64 // its first and last bytes, which may overlap
	n      uint32 // its length; 0 for a word that has no key
}

// shortWordBytes is the length of the longest word that has a key.
const shortWordBytes = 16

func keyOf(word string) wordKey {
	n := len(word)
	switch {
	case n > shortWordBytes:
		return wordKey{}
	case n >= 8:
		return wordKey{load8(word), load8(word[n-8:]), uint32(n)}
	case n >= 4:
		return wordKey{load4(word) | load4(word[n-4:])<<32, 0, uint32(n)}
	case n > 0:
		return wordKey{uint64(word[0]) | uint64(word[n/2])<<8 | uint64(word[n-1])<<16, 0, uint32(n)}
	}
	return wordKey{}
}

// hash mixes a key with a seed by the two halves of a product of 128 bits.
func (k wordKey) hash(seed uint64) uint64 {
	hi, lo := bits.Mul64(k.lo^seed, k.hi^uint64(k.n)*0x9E3779B97F4A7C15)
	return hi ^ lo
}

func load8(s string) uint64 { return load4(s) | load4(s[4:])<<32 }

func load4(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}
