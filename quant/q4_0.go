package quant

import "math"

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

// encodeQ4_0 puts the element of largest magnitude at -8, whatever its sign. The sum
// is formed in float64, which gives the rounding of ggml's fused multiply-add.
func encodeQ4_0(dst []byte, src []float32) {
	var q [32]uint8
	d := largest(src) / -8
	putF16(dst, d)
	for i, v := range src {
		q[i] = uint8(min(15, float64(v)*float64(inverse(d))+8.5))
	}
	packQ4_0(dst, q[:])
}

func packQ4_0(dst []byte, q []uint8) { joinNibbles(dst[2:18], q) }

func searchQ4_0(dst []byte, x, w []float64) {
	var q [32]uint8
	d := putScale(dst, searchScale(x, w, -8, 7))
	requantize(q[:], x, d, 0, -8, 7)
	packQ4_0(dst, q[:])
}

// inverse returns 1/d, or 0 where that is no finite number: then d, rounded to F16,
// is 0 as well.
func inverse(d float32) float32 {
	if inv := 1 / d; abs(inv) <= math.MaxFloat32 {
		return inv
	}
	return 0
}
