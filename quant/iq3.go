package quant

import "encoding/binary"

// magnitudesIQ3XXS are the levels that gridIQ3XXS points to.
var magnitudesIQ3XXS = [8]int8{4, 12, 20, 28, 36, 44, 52, 62}

// IQ3_XXS is 256 elements in 98 bytes, in 8 groups of 32:
//
//	┌──────┬────────┬──────────┐
//	│ d 2  │ qs 64  │ words 32 │  x = d * (sc + 1/2) / 2 * ±magnitude
//	└──────┴────────┴──────────┘
//
// A byte of qs is a position in gridIQ3XXS, which gives four elements. A group's
// 32-bit word is four times seven signs (see signs7) and, on top, four bits of sc.
func unpackIQ3_XXS(b *block, src []byte) {
	d := f16At(src)
	for g := range 8 {
		word := binary.LittleEndian.Uint32(src[66+4*g:])
		b.scale[g] = d * (0.5 + float32(word>>28)) * 0.5
		for k := range 8 {
			vector := gridIQ3XXS[src[2+8*g+k]]
			signs := signs7(word>>(k/2*7)) >> (k % 2 * 4)
			for i := range 4 {
				b.q[32*g+4*k+i] = signed(magnitudesIQ3XXS[vector>>(4*i)&7], signs>>i)
			}
		}
	}
}

// IQ3_S is 256 elements in 110 bytes, in 8 groups of 32:
//
//	┌──────┬────────┬───────┬───────────┬───────────┐
//	│ d 2  │ qs 64  │ qh 8  │ signs 32  │ scales 4  │  x = d * (2*sc + 1) * ±magnitude
//	└──────┴────────┴───────┴───────────┴───────────┘
//
// qs[k] and bit k of qh are a position in gridIQ3S, which gives four elements; bit e of
// signs is element e's sign; nibble g of scales is sc.
func unpackIQ3_S(b *block, src []byte) {
	d, qs, qh, signs := f16At(src), src[2:66], src[66:74], src[74:106]
	for g := range 8 {
		b.scale[g] = d * float32(2*nibble(src[106:110], g)+1)
	}
	for k, low := range qs {
		high := uint16(qh[k/8]>>(k%8)) & 1
		vector, sign := gridIQ3S[uint16(low)|high<<8], signs[k/2]>>(k%2*4)
		for i := range 4 {
			b.q[4*k+i] = signed(int8(vector>>(4*i)&15)*2+1, sign>>i)
		}
	}
}
