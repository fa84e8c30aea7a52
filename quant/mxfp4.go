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

// encodeMXFP4 takes the exponent of the largest element, less the 2 of E2M1's largest.
func encodeMXFP4(dst []byte, src []float32) {
	dst[0] = exponentE8M0(abs(largest(src)))
	var q [32]uint8
	for i, v := range src {
		q[i] = nearestE2M1(float64(v) / float64(halfE8M0(dst[0])))
	}
	joinNibbles(dst[1:17], q[:])
}

// exponentE8M0 returns floor(log2(absmax)) - 2 with E8M0's bias of 127. The logarithm is
// rounded to f32 first, as in the reference: just below a power of two it is that power.
func exponentE8M0(absmax float32) uint8 {
	if absmax == 0 {
		return 0
	}
	log := math.Floor(float64(float32(math.Log2(float64(absmax)))))
	return uint8(max(log-2+127, 0))
}

// searchMXFP4 tries the exponents next to the reference's as well.
func searchMXFP4(dst []byte, x, w []float64) {
	exp := exponentE8M0(float32(math.Abs(largest(x))))
	best := math.Inf(1)
	var q [32]uint8
	for e := max(exp, 1) - 1; e <= exp+1; e++ {
		var trial [32]uint8
		scale, err := float64(halfE8M0(e)), 0.0
		for i, v := range x {
			trial[i] = nearestE2M1(v / scale)
			diff := v - scale*float64(codesE2M1[trial[i]])
			err += w[i] * diff * diff
		}
		if err < best {
			best, q, dst[0] = err, trial, e
		}
	}
	joinNibbles(dst[1:17], q[:])
}

// nearestE2M1 returns the position of the code nearest to v, of two the smaller.
func nearestE2M1(v float64) uint8 {
	midpoints := [7]float64{0.5, 1.5, 2.5, 3.5, 5, 7, 10}
	a, pos := math.Abs(v), uint8(0)
	for pos < 7 && a > midpoints[pos] {
		pos++
	}
	if v < 0 && pos > 0 {
		pos += 8
	}
	return pos
}

func packMXFP4(dst []byte, q []uint8) { joinNibbles(dst[1:17], q) }
