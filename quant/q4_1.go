package quant

// Q4_1 is 32 elements in 20 bytes:
//
//	┌──────┬──────┬────────┐
//	│ d 2  │ m 2  │ qs 16  │  x = d * q + m
//	└──────┴──────┴────────┘
//
// d and m are F16; qs is packed as in Q4_0.
func unpackQ4_1(b *block, src []byte) {
	b.scale[0], b.min[0] = f16At(src), -f16At(src[2:])
	splitNibbles(b.q[:32], src[4:20])
}
