package quant

import "encoding/binary"

// Q5_1 is 32 elements in 24 bytes:
//
//	┌──────┬──────┬───────┬────────┐
//	│ d 2  │ m 2  │ qh 4  │ qs 16  │  x = d * q + m
//	└──────┴──────┴───────┴────────┘
//
// d and m are F16; qh and qs are packed as in Q5_0.
func unpackQ5_1(b *block, src []byte) {
	b.scale[0], b.min[0] = f16At(src), -f16At(src[2:])
	splitNibbles(b.q[:32], src[8:24])
	addFifthBits(b.q[:32], binary.LittleEndian.Uint32(src[4:]))
}

// encodeQ5_1 spans the levels from the smallest to the largest element.
func encodeQ5_1(dst []byte, src []float32) {
	var q [32]uint8
	spanLevels(dst, q[:], src, 31)
	packQ5_1(dst, q[:])
}

func searchQ5_1(dst []byte, x, w []float64) {
	var q [32]uint8
	searchLevels(dst, q[:], x, w, 31)
	packQ5_1(dst, q[:])
}

func packQ5_1(dst []byte, q []uint8) { joinFives(dst[4:24], q) }
