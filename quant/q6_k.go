package quant

// Q6_K is 256 elements in 210 bytes, in 16 groups of 16:
//
//	┌─────────┬────────┬────────────┬──────┐
//	│ ql 128  │ qh 64  │ scales 16  │ d 2  │  x = (d * sc) * (q - 32)
//	└─────────┴────────┴────────────┴──────┘
//
// sc is a signed byte. 64 bytes of ql and 32 of qh hold 128 elements: the low four
// bits of element 64*k + i in nibble k of ql[i], the high two of element 32*k + i in
// pair k of qh[i].
func unpackQ6_K(b *block, src []byte) {
	ql, qh, scales, d := src[:128], src[128:192], src[192:208], f16At(src[208:])
	for g, sc := range scales {
		b.scale[g] = d * float32(int8(sc))
	}
	splitPairs(b.q[:], qh)
	for half := range 2 {
		q := b.q[128*half:][:128]
		for i, v := range ql[64*half:][:64] {
			q[i] = q[i]<<4 + int8(v&15) - 32
			q[64+i] = q[64+i]<<4 + int8(v>>4) - 32
		}
	}
}

func searchQ6_K(dst []byte, x, w []float64) {
	var sc [16]uint8
	var q [256]uint8
	searchSymmetric(dst[208:], sc[:], q[:], x, w, 32, 128)
	for g, s := range sc {
		dst[192+g] = s ^ 128 // sc + 128 as a signed byte
	}
	packQ6_K(dst, q[:])
}

func packQ6_K(dst []byte, q []uint8) {
	var high [256]uint8
	for i, v := range q {
		q[i], high[i] = v&15, v>>4
	}
	for half := range 2 {
		joinNibbles(dst[64*half:][:64], q[128*half:])
	}
	joinPairs(dst[128:192], high[:])
}
