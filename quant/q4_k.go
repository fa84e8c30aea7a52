package quant

// Q4_K is 256 elements in 144 bytes, in 8 groups of 32:
//
//	┌──────┬─────────┬────────────┬─────────┐
//	│ d 2  │ dmin 2  │ scales 12  │ qs 128  │  x = (d * sc) * q - (dmin * m)
//	└──────┴─────────┴────────────┴─────────┘
//
// Each 32 bytes of qs hold two groups, the first in the low nibbles. scales is packed
// as scaleMin says.
func unpackQ4_K(b *block, src []byte) {
	unpackScaleMins(b, src[:16])
	for c := range 4 {
		splitNibbles(b.q[64*c:][:64], src[16+32*c:][:32])
	}
}

// unpackScaleMins reads the head that Q4_K and Q5_K share: d, dmin and scales.
func unpackScaleMins(b *block, src []byte) {
	d, dmin := f16At(src), f16At(src[2:])
	for g := range 8 {
		sc, m := scaleMin(src[4:16], g)
		b.scale[g], b.min[g] = d*float32(sc), dmin*float32(m)
	}
}

// scaleMin returns the six-bit sc and m of group g. Groups 0..3 have theirs in the
// low six bits of bytes g and 4+g; groups 4..7 have the low four bits in the nibbles
// of byte 4+g and the high two above those of groups g-4.
func scaleMin(scales []byte, g int) (sc, m uint8) {
	if g < 4 {
		return scales[g] & 63, scales[g+4] & 63
	}
	return scales[g+4]&15 | scales[g-4]>>6<<4, scales[g+4]>>4 | scales[g]>>6<<4
}

// putScaleMins is the way back for all eight groups.
func putScaleMins(scales []byte, sc, m []uint8) {
	for g := range 4 {
		scales[g] = sc[g] | sc[g+4]>>4<<6
		scales[g+4] = m[g] | m[g+4]>>4<<6
		scales[g+8] = sc[g+4]&15 | m[g+4]<<4
	}
}

func searchQ4_K(dst []byte, x, w []float64) {
	var q [256]uint8
	searchScaleMins(dst[:16], q[:], x, w, 15)
	packQ4_K(dst, q[:])
}

func packQ4_K(dst []byte, q []uint8) {
	for c := range 4 {
		joinNibbles(dst[16+32*c:][:32], q[64*c:])
	}
}

// searchScaleMins writes the head that Q4_K and Q5_K share and sets q in [0, levels].
func searchScaleMins(dst []byte, q []uint8, x, w []float64, levels float64) {
	k := offsets{group: 32, levels: levels, most: 63}
	k.search(x, w)
	k.d, k.dmin = putScale(dst, k.d), putScale(dst[2:], k.dmin)
	k.round(q, x)
	putScaleMins(dst[4:16], k.sc[:8], k.m[:8])
}
