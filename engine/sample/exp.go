package sample

import "math"

// expSteps is the number of steps in which expTable divides a power of two. With 256 the
// parabola below is exact to 5e-10, far below the rounding of float32 logits, and the
// table takes 2 KiB of the first-level cache.
const expSteps = 256

// expTable[i] holds the bits of 2^(i/256).
var expTable = func() (t [expSteps]uint64) {
	for i := range t {
		t[i] = math.Float64bits(math.Exp2(float64(i) / expSteps))
	}
	return t
}()

// expLeast is where expNegative gives up: 1e-304 is nothing beside the largest weight, 1.
const expLeast = -700

// rounder rounds a small float64 to an integer when it is added: its last bit is worth 1.
const rounder = 3 << 51

// expNegative returns e^x for x <= 0, to a relative error below 1e-9. It takes a third of
// the time of math.Exp, and softmax over a large vocabulary is little else.
func expNegative(x float64) float64 {
	if x < expLeast {
		return 0
	}
	rounded := x*(expSteps/math.Ln2) + rounder
	k := math.Float64bits(rounded) - math.Float64bits(rounder) // of a negative number: mod 2^64
	r := x - (rounded-rounder)*(math.Ln2/expSteps)
	power := expTable[k%expSteps] + k/expSteps<<52 // the exponent's place; what overflows is the sign
	return math.Float64frombits(power) * (1 + r*(1+r*0.5))
}
