package quant

// splitNibbles writes the low four bits of each byte of src to the first half of q
// and the high four to the second: how ggml packs 4-bit elements. len(q) is
// 2*len(src).
func splitNibbles(q []int8, src []byte) {
	low, high := q[:len(src)], q[len(src):][:len(src)]
	for i, b := range src {
		low[i] = int8(b & 15)
		high[i] = int8(b >> 4)
	}
}

// joinNibbles is the way back; each element of q is in [0, 15].
func joinNibbles(dst []byte, q []uint8) {
	for i := range dst {
		dst[i] = q[i] | q[len(dst)+i]<<4
	}
}

// nibble returns the i-th four bits of src, low half first.
func nibble(src []byte, i int) uint8 { return src[i/2] >> (i % 2 * 4) & 15 }

// addFifthBits adds 16 to each of the 32 elements of q whose bit of high is set.
func addFifthBits(q []int8, high uint32) {
	for i := range q {
		q[i] |= int8(high >> i & 1 << 4)
	}
}

// shift adds by to every element of q.
func shift(q []int8, by int8) {
	for i := range q {
		q[i] += by
	}
}
