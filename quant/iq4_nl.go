package quant

import "math"

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

func searchIQ4_NL(dst []byte, x, w []float64) {
	d := putScale(dst, searchCodeScale(x, w))
	joinCodes(dst[2:18], x, d)
}

// positionsIQ4 maps floor(2*v) + 256 to the position of the code nearest to v; the
// midpoints between codes are whole halves, so that is exact.
var positionsIQ4 = func() (table [512]uint8) {
	pos := 0
	for i := range table {
		for pos < 15 && i-256 >= int(codesIQ4[pos])+int(codesIQ4[pos+1]) {
			pos++
		}
		table[i] = uint8(pos)
	}
	return table
}()

// nearestIQ4 returns the position of the code nearest to v.
func nearestIQ4(v float64) uint8 {
	return positionsIQ4[uint(min(max(2*v+256, 0), 511))]
}

// searchCodeScale is searchScale for integers of codesIQ4: it tries to place the largest
// element at either end, up to seven units off.
func searchCodeScale(x, w []float64) float64 {
	peak := largest(x)
	if peak == 0 {
		return 0
	}
	scale, gain := peak/-127, 0.0
	for _, end := range []float64{-127, 113} {
		for k := -7.0; k <= 7; k++ {
			if s, g := fitCodeScale(x, w, (end+k)/peak); g > gain {
				scale, gain = s, g
			}
		}
	}
	return scale
}

// fitCodeScale is fitScale for codesIQ4.
func fitCodeScale(x, w []float64, inverse float64) (s, gain float64) {
	var xq, qq float64
	w = w[:len(x)]
	for i, v := range x {
		q := float64(codesIQ4[nearestIQ4(v*inverse)&15])
		wq := w[i] * q
		xq += wq * v
		qq += wq * q
	}
	if qq <= 0 {
		return 0, 0
	}
	return xq / qq, xq * xq / qq
}

// joinCodes packs the codes nearest to x/d.
func joinCodes(dst []byte, x []float64, d float64) {
	var q [32]uint8
	if d == 0 {
		d = math.Inf(1)
	}
	for i, v := range x {
		q[i] = nearestIQ4(v / d)
	}
	joinNibbles(dst, q[:])
}
