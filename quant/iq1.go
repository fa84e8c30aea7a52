package quant

import "encoding/binary"

// IQ1_S is 256 elements in 50 bytes, in 8 groups of 32:
//
//	┌──────┬────────┬────────┐
//	│ d 2  │ qs 32  │ qh 16  │  x = d * (2*sc + 1) * (t ± 1/8)
//	└──────┴────────┴────────┘
//
// qh is one 16-bit word a group: four times three high bits of a position in gridIQ1,
// three bits of sc, and the sign of 1/8. qs holds the positions' low bytes; each
// position gives eight ternary digits t.
func unpackIQ1_S(b *block, src []byte) {
	d := f16At(src)
	for g := range 8 {
		qh := binary.LittleEndian.Uint16(src[34+2*g:])
		b.scale[g] = eighth(d, qh>>12&7)
		for k := range 4 {
			high := qh >> (3 * k) & 7
			b.putTernary(4*g+k, uint16(src[2+4*g+k])|high<<8, qh>>15 != 0)
		}
	}
}

// IQ1_M is 256 elements in 56 bytes, in 16 groups of 16:
//
//	┌────────┬────────┬───────────┐
//	│ qs 32  │ qh 16  │ scales 8  │  x = d * (2*sc + 1) * (t ± 1/8)
//	└────────┴────────┴───────────┘
//
// Each 16-bit word of scales has four three-bit sc and, on top, four bits of the F16
// number d. A nibble of qh has three high bits of a position in gridIQ1 and the sign
// of 1/8 for its eight elements.
func unpackIQ1_M(b *block, src []byte) {
	scales := src[48:56]
	var d uint16
	for w := range 4 {
		d |= binary.LittleEndian.Uint16(scales[2*w:]) >> 12 << (4 * w)
	}
	for g := range 16 {
		sc := binary.LittleEndian.Uint16(scales[g/4*2:]) >> (g % 4 * 3) & 7
		b.scale[g] = eighth(F16ToF32(d), sc)
		for k := 2 * g; k < 2*g+2; k++ {
			high := uint16(nibble(src[32:48], k))
			b.putTernary(k, uint16(src[k])|high&7<<8, high&8 != 0)
		}
	}
}

// eighth returns d * (2*sc + 1) / 8: the division by eight, which is exact, makes
// t ± 1/8 an integer.
func eighth(d float32, sc uint16) float32 { return d * float32(2*sc+1) * 0.125 }

// putTernary sets the k-th eight elements to 8*t + 1, or 8*t - 1 if negative.
func (b *block) putTernary(k int, position uint16, negative bool) {
	delta := int8(1)
	if negative {
		delta = -1
	}
	digits := gridIQ1[position]
	for i := range 8 {
		b.q[8*k+i] = int8(digits>>(2*i)&3)<<3 - 8 + delta
	}
}
