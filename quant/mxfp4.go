package quant

import "math"

// codesE2M1 are the 16 values of the 4-bit float E2M1, doubled to be integers.
var codesE2M1 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// MXFP4 is 32 elements in 17 bytes, the OCP microscaling format:
//
//	┌──────┬────────┐
//	│ e 1  │ qs 16  │  x = 2^(e-127) / 2 * codesE2M1[q]
//	└──────┴────────┘
//
// qs is packed as in Q4_0 (not as in OCP's own layout).
func unpackMXFP4(b *block, src []byte) {
	b.scale[0] = halfE8M0(src[0])
	splitCodes(b.q[:32], src[1:17], &codesE2M1)
}

// halfE8M0 returns 2^(e-127) / 2; below e = 2 that is a subnormal number. As in ggml,
// e = 255 is not a NaN.
func halfE8M0(e uint8) float32 {
	if e < 2 {
		return math.Float32frombits(1 << 21 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}
