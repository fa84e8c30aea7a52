package quant

import "encoding/binary"

// Q5_0 is 32 elements in 22 bytes:
//
//	┌──────┬───────┬────────┐
//	│ d 2  │ qh 4  │ qs 16  │  x = d * (q - 16)
//	└──────┴───────┴────────┘
//
// d is F16; bit i of qh is the fifth bit of element i; qs is packed as in Q4_0.
func unpackQ5_0(b *block, src []byte) {
	b.scale[0] = f16At(src)
	splitNibbles(b.q[:32], src[6:22])
	addFifthBits(b.q[:32], binary.LittleEndian.Uint32(src[2:]))
	shift(b.q[:32], -16)
}
