package quant

// Q2_K is 256 elements in 84 bytes, in 16 groups of 16:
//
//	┌────────────┬────────┬──────┬─────────┐
//	│ scales 16  │ qs 64  │ d 2  │ dmin 2  │  x = (d * sc) * q - (dmin * m)
//	└────────────┴────────┴──────┴─────────┘
//
// A group's scale byte is sc in the low nibble, m in the high one. Elements are
// packed as splitPairs says.
func unpackQ2_K(b *block, src []byte) {
	d, dmin := f16At(src[80:]), f16At(src[82:])
	for g, s := range src[:16] {
		b.scale[g] = d * float32(s&15)
		b.min[g] = dmin * float32(s>>4)
	}
	splitPairs(b.q[:], src[16:80])
}

// splitPairs unpacks 2-bit elements as Q2_K, Q3_K and TQ2_0 pack them: 32 bytes hold
// 128 elements, element 32*k + i in bits 2k and 2k+1 of byte i.
func splitPairs(q []int8, src []byte) {
	for ; len(src) > 0; q, src = q[128:], src[32:] {
		for i, v := range src[:32] {
			q[i] = int8(v & 3)
			q[32+i] = int8(v >> 2 & 3)
			q[64+i] = int8(v >> 4 & 3)
			q[96+i] = int8(v >> 6)
		}
	}
}

// joinPairs is the way back; each element of q is in [0, 3].
func joinPairs(dst []byte, q []uint8) {
	for ; len(dst) > 0; q, dst = q[128:], dst[32:] {
		for i := range dst[:32] {
			dst[i] = q[i] | q[32+i]<<2 | q[64+i]<<4 | q[96+i]<<6
		}
	}
}

func searchQ2_K(dst []byte, x, w []float64) {
	var q [256]uint8
	k := offsets{group: 16, levels: 3, most: 15}
	k.search(x, w)
	k.d, k.dmin = putScale(dst[80:], k.d), putScale(dst[82:], k.dmin)
	k.round(q[:], x)
	for g := range dst[:16] {
		dst[g] = k.sc[g] | k.m[g]<<4
	}
	packQ2_K(dst, q[:])
}

func packQ2_K(dst []byte, q []uint8) { joinPairs(dst[16:80], q) }
