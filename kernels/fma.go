package kernels

import "math"

// fma32 returns x*y + z rounded once to float32, as a processor's f32 fused
// multiply-add does. The product is exact in float64 (24 + 24 bits); the sum is made
// odd where it is inexact, so that the second rounding decides as if it saw all bits
// (round to odd: Boldo & Melquiond 2008).
func fma32(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	// The error of the sum (Knuth's TwoSum), exact for finite values.
	t := s - p
	err := (p - (s - t)) + (c - t)
	bits := math.Float64bits(s)
	if err != 0 && bits&1 == 0 && !math.IsInf(s, 0) && !math.IsNaN(err) {
		if (err > 0) == (s > 0) {
			bits++ // away from zero
		} else {
			bits-- // towards zero
		}
		s = math.Float64frombits(bits)
	}
	return float32(s)
}
