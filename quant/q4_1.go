package quant

import "slices"

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

// encodeQ4_1 spans the levels from the smallest to the largest element.
func encodeQ4_1(dst []byte, src []float32) {
	var q [32]uint8
	spanLevels(dst, q[:], src, 15)
	packQ4_1(dst, q[:])
}

func searchQ4_1(dst []byte, x, w []float64) {
	var q [32]uint8
	searchLevels(dst, q[:], x, w, 15)
	packQ4_1(dst, q[:])
}

func packQ4_1(dst []byte, q []uint8) { joinNibbles(dst[4:20], q) }

// spanLevels stores the d and m of Q4_1 and Q5_1, and rounds src to q in [0, levels].
func spanLevels(dst []byte, q []uint8, src []float32, levels float32) {
	low, high := slices.Min(src), slices.Max(src)
	d := (high - low) / levels
	putF16(dst, d)
	putF16(dst[2:], low)
	inv := inverse(d)
	for i, v := range src {
		// The conversion forbids a fused multiply-add: the reference rounds twice.
		q[i] = uint8(min(levels, float32((v-low)*inv)+0.5))
	}
}

// searchLevels is spanLevels with searched d and m.
func searchLevels(dst []byte, q []uint8, x, w []float64, levels float64) {
	d, m := searchAffine(x, w, levels, false)
	d, m = putScale(dst, d), putScale(dst[2:], m)
	requantize(q, x, d, -m, 0, levels)
}
