package quant

// Q4_0 is 32 elements in 18 bytes:
//
//	┌──────┬────────┐
//	│ d 2  │ qs 16  │  x = d * (q - 8)
//	└──────┴────────┘
//
// d is F16; qs holds elements 0..15 in the low nibbles, 16..31 in the high ones.
func unpackQ4_0(b *block, src []byte) {
	b.scale[0] = f16At(src)
	splitNibbles(b.q[:32], src[2:18])
	shift(b.q[:32], -8)
}
