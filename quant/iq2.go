package quant

import (
	"encoding/binary"
	"math/bits"
)

// magnitudesIQ2 are the levels that the grids of the IQ2 types point to; the unused
// fourth index does not occur in them.
var magnitudesIQ2 = [4]int8{8, 25, 43, 0}

// IQ2_XXS is 256 elements in 66 bytes, in 8 groups of 32:
//
//	┌──────┬─────────────────┐
//	│ d 2  │ 8 × (4 + 4)     │  x = d * (sc + 1/2) / 4 * ±magnitude
//	└──────┴─────────────────┘
//
// A group is four positions in gridIQ2XXS, a byte each, and a 32-bit word: four times
// seven signs (see signs7) and, on top, four bits of sc.
func unpackIQ2_XXS(b *block, src []byte) {
	d := f16At(src)
	for g := range 8 {
		group := src[2+8*g:][:8]
		word := binary.LittleEndian.Uint32(group[4:])
		b.scale[g] = quarter(d, uint8(word>>28))
		for k := range 4 {
			b.putPairs(4*g+k, gridIQ2XXS[group[k]], signs7(word>>(7*k)))
		}
	}
}

// IQ2_XS is 256 elements in 74 bytes, in 16 groups of 16:
//
//	┌──────┬────────┬───────────┐
//	│ d 2  │ qs 64  │ scales 8  │  x = d * (sc + 1/2) / 4 * ±magnitude
//	└──────┴────────┴───────────┘
//
// A 16-bit word of qs is a position in gridIQ2XS (nine bits) and seven signs; nibble g
// of scales is sc.
func unpackIQ2_XS(b *block, src []byte) {
	d := f16At(src)
	for g := range 16 {
		b.scale[g] = quarter(d, nibble(src[66:74], g))
	}
	for k := range 32 {
		word := binary.LittleEndian.Uint16(src[2+2*k:])
		b.putPairs(k, gridIQ2XS[word&511], signs7(uint32(word>>9)))
	}
}

// IQ2_S is 256 elements in 82 bytes, in 16 groups of 16:
//
//	┌──────┬────────┬───────────┬───────┬───────────┐
//	│ d 2  │ qs 32  │ signs 32  │ qh 8  │ scales 8  │  x = d * (sc + 1/2) / 4 * ±magnitude
//	└──────┴────────┴───────────┴───────┴───────────┘
//
// qs[k] and pair k of qh are a position in gridIQ2S, signs[k] its eight signs; nibble
// g of scales is sc.
func unpackIQ2_S(b *block, src []byte) {
	d, qs, signs, qh := f16At(src), src[2:34], src[34:66], src[66:74]
	for g := range 16 {
		b.scale[g] = quarter(d, nibble(src[74:82], g))
	}
	for k, low := range qs {
		high := uint16(qh[k/4]>>(k%4*2)) & 3
		b.putPairs(k, gridIQ2S[uint16(low)|high<<8], signs[k])
	}
}

// quarter returns d * (sc + 1/2) / 4; only the product rounds.
func quarter(d float32, sc uint8) float32 { return d * (0.5 + float32(sc)) * 0.25 }

// signs7 returns the eight signs of the low seven bits: the eighth makes their number
// even.
func signs7(low uint32) uint8 {
	s := uint8(low & 127)
	return s | uint8(bits.OnesCount8(s)&1)<<7
}

// putPairs sets the k-th eight elements from a vector of the IQ2 grids; a set bit of
// signs is a minus.
func (b *block) putPairs(k int, vector uint16, signs uint8) {
	for i := range 8 {
		b.q[8*k+i] = signed(magnitudesIQ2[vector>>(2*i)&3], signs>>i)
	}
}

// signed returns -v if the lowest bit of sign is set, else v.
func signed(v int8, sign uint8) int8 {
	if sign&1 != 0 {
		return -v
	}
	return v
}
