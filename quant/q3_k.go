package quant

// Q3_K is 256 elements in 110 bytes, in 16 groups of 16:
//
//	┌───────────┬────────┬────────────┬──────┐
//	│ hmask 32  │ qs 64  │ scales 12  │ d 2  │  x = (d * (sc - 32)) * (q - 4)
//	└───────────┴────────┴────────────┴──────┘
//
// qs holds the low two bits as in Q2_K; bit k of hmask[i] is the third bit of element
// 32*k + i. Group g's six-bit sc has its low four bits in nibble g/8 of scales[g%8]
// and its high two in pair g/4 of scales[8 + g%4].
func unpackQ3_K(b *block, src []byte) {
	hmask, scales, d := src[:32], src[96:108], f16At(src[108:])
	for g := range 16 {
		sc := scales[g%8]>>(g/8*4)&15 | scales[8+g%4]>>(g/4*2)&3<<4
		b.scale[g] = d * float32(int(sc)-32)
	}
	splitPairs(b.q[:], src[32:96])
	for k := range 8 {
		q := b.q[32*k:][:32]
		for i, h := range hmask {
			q[i] += int8(h>>k&1<<2) - 4
		}
	}
}

func searchQ3_K(dst []byte, x, w []float64) {
	var sc [16]uint8
	var q [256]uint8
	searchSymmetric(dst[108:], sc[:], q[:], x, w, 4, 32)
	packQ3_K(dst, q[:])
	clear(dst[96:108])
	for g, s := range sc {
		dst[96+g%8] |= s & 15 << (g / 8 * 4)
		dst[104+g%4] |= s >> 4 << (g / 4 * 2)
	}
}

func packQ3_K(dst []byte, q []uint8) {
	clear(dst[:32])
	for i, v := range q {
		dst[i%32] |= v >> 2 << (i / 32)
		q[i] = v & 3
	}
	joinPairs(dst[32:96], q)
}
