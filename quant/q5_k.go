package quant

// Q5_K is 256 elements in 176 bytes, in 8 groups of 32:
//
//	┌──────┬─────────┬────────────┬────────┬─────────┐
//	│ d 2  │ dmin 2  │ scales 12  │ qh 32  │ qs 128  │  x = (d * sc) * q - (dmin * m)
//	└──────┴─────────┴────────────┴────────┴─────────┘
//
// Bit g of qh[i] is the fifth bit of element i of group g; the rest is as in Q4_K.
func unpackQ5_K(b *block, src []byte) {
	unpackScaleMins(b, src[:16])
	qh := src[16:48]
	for c := range 4 {
		splitNibbles(b.q[64*c:][:64], src[48+32*c:][:32])
	}
	for g := range 8 {
		q := b.q[32*g:][:32]
		for i, h := range qh {
			q[i] |= int8(h >> g & 1 << 4)
		}
	}
}

func searchQ5_K(dst []byte, x, w []float64) {
	var q [256]uint8
	searchScaleMins(dst[:16], q[:], x, w, 31)
	packQ5_K(dst, q[:])
}

func packQ5_K(dst []byte, q []uint8) {
	clear(dst[16:48])
	for i, v := range q {
		dst[16+i%32] |= v >> 4 << (i / 32)
		q[i] = v & 15
	}
	for c := range 4 {
		joinNibbles(dst[48+32*c:][:32], q[64*c:])
	}
}
