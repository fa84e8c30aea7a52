package quant

// codesIQ4 are the 16 levels of IQ4_NL and IQ4_XS, denser near zero.
var codesIQ4 = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// IQ4_NL is 32 elements in 18 bytes:
//
//	┌──────┬────────┐
//	│ d 2  │ qs 16  │  x = d * codesIQ4[q]
//	└──────┴────────┘
//
// d is F16; qs is packed as in Q4_0.
func unpackIQ4_NL(b *block, src []byte) {
	b.scale[0] = f16At(src)
	splitCodes(b.q[:32], src[2:18], &codesIQ4)
}

// splitCodes unpacks nibbles as splitNibbles does and looks each up in codes.
func splitCodes(q []int8, src []byte, codes *[16]int8) {
	low, high := q[:len(src)], q[len(src):][:len(src)]
	for i, b := range src {
		low[i] = codes[b&15]
		high[i] = codes[b>>4]
	}
}
