package quant

import (
	"encoding/binary"
	"math"
)

// The searches choose scales for few-bit integers by trial: they round the values
// with a number of slightly different scales, solve for the best real scale given
// those integers (weighted least squares, in closed form), and keep the best pair.

// clampRound returns the integer in [lo, hi] nearest to v, half to even; lo and hi are
// integers below 2^51. Adding 1.5 * 2^52 leaves no room for a fraction.
func clampRound(v, lo, hi float64) float64 {
	const magic = 3 << 51
	if v <= lo {
		return lo
	}
	if v >= hi {
		return hi
	}
	return v + magic - magic
}

// searchScale returns the s for which integers q in [lo, hi] make Σ w*(x - s*q)^2
// small. It tries to place the largest element at either end of the range (at the
// upper end only if lo is 0) and up to one step inside or outside of it.
func searchScale(x, w []float64, lo, hi float64) float64 {
	peak := largest(x)
	if peak == 0 {
		return 0
	}
	scale, gain := peak/hi, 0.0
	try := func(inverse float64) {
		if s, g := fitScale(x, w, inverse, lo, hi); g > gain {
			scale, gain = s, g
		}
	}
	for k := -9.0; k <= 9; k++ {
		try((hi + 0.1*k) / peak)
		if lo < 0 {
			try((lo + 0.1*k) / peak)
		}
	}
	try(1 / scale)
	return scale
}

// fitScale rounds x*inverse to q and returns the s of least Σ w*(x - s*q)^2, and by how
// much that is below Σ w*x^2.
func fitScale(x, w []float64, inverse, lo, hi float64) (s, gain float64) {
	var xq, qq float64
	w = w[:len(x)]
	for i, v := range x {
		q := clampRound(v*inverse, lo, hi)
		wq := w[i] * q
		xq += wq * v
		qq += wq * q
	}
	if qq <= 0 {
		return 0, 0
	}
	return xq / qq, xq * xq / qq
}

// searchAffine returns the scale >= 0 and the least value for which integers q in
// [0, levels] make Σ w*(x - scale*q - least)^2 small. With below, least is <= 0.
func searchAffine(x, w []float64, levels float64, below bool) (scale, least float64) {
	f := newAffineFit(x, w, levels, below)
	if f.span <= 0 {
		return 0, f.low
	}
	for k := -10.0; k <= 10; k++ {
		f.try((levels+0.1*k)/f.span, f.low)
	}
	for range 2 {
		if f.scale > 0 {
			f.try(1/f.scale, f.least)
		}
	}
	return f.scale, f.least
}

// affineFit is the state of searchAffine: the problem, its sums, the best answer.
type affineFit struct {
	x, w              []float64
	levels, low, span float64
	below             bool
	sumW, sumX, sumXX float64 // Σw, Σwx, Σwx^2

	scale, least, err float64
}

func newAffineFit(x, w []float64, levels float64, below bool) affineFit {
	f := affineFit{x: x, w: w, levels: levels, low: x[0], below: below, err: math.Inf(1)}
	high := x[0]
	for i, v := range x {
		f.low, high = min(f.low, v), max(high, v)
		f.sumW += w[i]
		f.sumX += w[i] * v
		f.sumXX += w[i] * v * v
	}
	if below {
		f.low = min(f.low, 0)
	}
	f.span = high - f.low
	f.scale, f.least = f.span/levels, f.low
	return f
}

// try rounds (x - low) * inverse to q, solves for the best scale and least, and keeps
// them if they are better than the best so far.
func (f *affineFit) try(inverse, low float64) {
	var q1, qq, xq float64
	w := f.w[:len(f.x)]
	for i, v := range f.x {
		q := clampRound((v-low)*inverse, 0, f.levels)
		wq := w[i] * q
		q1 += wq
		qq += wq * q
		xq += wq * v
	}
	det := f.sumW*qq - q1*q1
	if det <= 1e-10*f.sumW*qq {
		return // one value, or one that outweighs all others: nothing to solve for
	}
	scale, least := (f.sumW*xq-f.sumX*q1)/det, (qq*f.sumX-q1*xq)/det
	if f.below && least > 0 {
		scale, least = xq/qq, 0
	}
	err := f.sumXX + scale*(scale*qq+2*least*q1-2*xq) + least*(least*f.sumW-2*f.sumX)
	if scale > 0 && err < f.err {
		f.scale, f.least, f.err = scale, least, err
	}
}

// largest returns the element of largest magnitude, the first of several.
func largest[F float32 | float64](x []F) F {
	var peak, absmax F
	for _, v := range x {
		if a := F(math.Abs(float64(v))); a > absmax {
			peak, absmax = v, a
		}
	}
	return peak
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// putScale stores a searched scale as F16 and returns what a decoder will read. It
// keeps within F16's range, and rounds away from zero where F16 is subnormal: there the
// nearest number can be far too small for the integers that multiply it, or zero.
func putScale(dst []byte, v float64) float64 {
	f := float32(min(max(v, -maxF16), maxF16))
	h := F32ToF16(f)
	if h&0x7c00 == 0 && abs(F16ToF32(h)) < abs(f) {
		h++
	}
	binary.LittleEndian.PutUint16(dst, h)
	return float64(F16ToF32(h))
}

// requantize sets q[i] to the integer in [lo, hi] whose value scale*q - least is nearest
// to x[i], minus lo: what is left when the scales stand.
func requantize(q []uint8, x []float64, scale, least, lo, hi float64) {
	if scale == 0 {
		scale = math.Inf(1) // whatever q is, the value is the same
	}
	inverse := 1 / scale
	for i, v := range x {
		q[i] = uint8(clampRound((v+least)*inverse, lo, hi) - lo)
	}
}
