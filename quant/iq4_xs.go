package quant

import "encoding/binary"

// IQ4_XS is 256 elements in 136 bytes, in 8 groups of 32:
//
//	┌──────┬─────────────┬─────────────┬─────────┐
//	│ d 2  │ scales_h 2  │ scales_l 4  │ qs 128  │  x = (d * (sc - 32)) * codesIQ4[q]
//	└──────┴─────────────┴─────────────┴─────────┘
//
// Group g's six-bit sc has its low four bits in nibble g of scales_l and its high two
// in pair g of scales_h. Each group has 16 bytes of qs, packed as in Q4_0.
func unpackIQ4_XS(b *block, src []byte) {
	d, high := f16At(src), binary.LittleEndian.Uint16(src[2:])
	for g := range 8 {
		sc := int(nibble(src[4:8], g)) | int(high>>(2*g)&3)<<4
		b.scale[g] = d * float32(sc-32)
		splitCodes(b.q[32*g:][:32], src[8+16*g:][:16], &codesIQ4)
	}
}

func searchIQ4_XS(dst []byte, x, w []float64) {
	var scales, weights [8]float64
	for g := range scales {
		xg, wg := x[32*g:][:32], w[32*g:][:32]
		scales[g], weights[g] = searchCodeScale(xg, wg), sum(wg)
	}
	d := putScale(dst, searchScale(scales[:], weights[:], -32, 31))
	var sc [8]uint8
	requantize(sc[:], scales[:], d, 0, -32, 31)
	clear(dst[2:8])
	var high uint16
	for g, s := range sc {
		high |= uint16(s>>4) << (2 * g)
		dst[4+g/2] |= s & 15 << (g % 2 * 4)
		joinCodes(dst[8+16*g:][:16], x[32*g:][:32], d*(float64(s)-32))
	}
	binary.LittleEndian.PutUint16(dst[2:], high)
}

func packIQ4_XS(dst []byte, q []uint8) {
	for g := range 8 {
		joinNibbles(dst[8+16*g:][:16], q[32*g:])
	}
}
