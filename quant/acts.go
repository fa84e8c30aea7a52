package quant

import (
	"fmt"
	"math"
)

// ActBlock is the number of activations that QuantizeActs gives one scale.
const ActBlock = 32

// QuantizeActs quantizes activations for the int8 mode of matrix products. x [n] f32
// is a whole number of blocks of 32; q [n], scale [n/32] and sum [n/32] are
// overwritten, and it panics if one is shorter. Per block, all in f32:
//
//	absmax  = max |x|
//	scale   = absmax / 127
//	inverse = 127 / absmax
//	q       = x * inverse, rounded half to even
//	sum     = Σ q
//
// sum serves weights that have an offset per group of 32; for a group of 16 (Q2_K) the
// caller adds up the half of q that it needs. A block whose absmax is zero, or so small
// (below 3.7e-37) that inverse overflows, becomes zeros with scale 0. A block that holds
// an infinity or a NaN gets zeros with that for its scale, so that the products are not
// finite either.
func QuantizeActs(x []float32, q []int8, scale []float32, sum []int32) {
	if len(x)%ActBlock != 0 {
		panic(fmt.Sprintf("BUG: %d activations are not a whole number of blocks of %d", len(x), ActBlock))
	}
	q, n := q[:len(x)], len(x)/ActBlock
	scale, sum = scale[:n], sum[:n]
	for i := range scale {
		scale[i], sum[i] = quantizeActBlock(x[ActBlock*i:][:ActBlock], q[ActBlock*i:][:ActBlock])
	}
}

func quantizeActBlock(x []float32, q []int8) (scale float32, sum int32) {
	var absmax float32
	for _, v := range x {
		absmax = max(absmax, abs(v)) // a NaN stays
	}
	inverse := 127 / absmax
	if !(inverse > 0 && inverse <= math.MaxFloat32) {
		clear(q)
		if absmax <= math.MaxFloat32 {
			return 0, 0
		}
		return absmax, 0
	}
	for i, v := range x {
		n := roundEven(float32(v * inverse)) // the conversion forbids a fused multiply-add
		q[i] = int8(n)
		sum += int32(n)
	}
	return absmax / 127, sum
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// roundEven rounds to the nearest integer, half to even; |v| is below 2^22. Adding
// 1.5 * 2^23 pushes the fraction out of the significand, which is left holding the
// integer in two's complement.
func roundEven(v float32) int {
	const magic = 3 << 22
	return int(math.Float32bits(v+magic)) - 0x4b400000
}
