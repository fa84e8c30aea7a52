package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFMA computes x*y + z with as many bits as it takes and rounds once.
func exactFMA(x, y, z float32) float32 {
	exact := func(v float32) *big.Float { return new(big.Float).SetPrec(1000).SetFloat64(float64(v)) }
	p := new(big.Float).SetPrec(1000).Mul(exact(x), exact(y))
	f, _ := p.Add(p, exact(z)).Float32()
	return f
}

func TestFMA32RoundsOnce(t *testing.T) {
	check := func(x, y, z float32) {
		t.Helper()
		if got, want := fma32(x, y, z), exactFMA(x, y, z); got != want {
			t.Fatalf("fma32(%g, %g, %g) = %g, want %g", x, y, z, got, want)
		}
	}
	random := rand.New(rand.NewPCG(5, 6))
	for range 200000 {
		exponent := func() float32 { return float32(math.Ldexp(random.NormFloat64(), random.IntN(60)-30)) }
		check(exponent(), exponent(), exponent())
	}
	// Near the border between normal and subnormal results, and where terms cancel.
	for range 50000 {
		small := func(e int) float32 { return float32(math.Ldexp(random.NormFloat64(), e-random.IntN(20))) }
		check(small(-60), small(-65), small(-126))
		x, y := small(0), small(0)
		check(x, y, -x*y)
	}
}

// x*y = 1 + 2^-11 + 2^-24 lies halfway between two float32 numbers. z decides, but is too
// small for a float64 sum to show it.
func TestFMA32WhereRoundingTwiceIsWrong(t *testing.T) {
	const x = 1 + 0x1p-12
	for _, z := range []float32{0x1p-60, -0x1p-60, 0x1p-100, -0x1p-149} {
		want := exactFMA(x, x, z)
		if got := fma32(x, x, z); got != want {
			t.Errorf("fma32(%g, %g, %g) = %g, want %g", x, x, z, got, want)
		}
		twice := float32(math.FMA(x, x, float64(z)))
		if z > 0 && twice == want {
			t.Errorf("z = %g does not tell one rounding from two", z)
		}
	}
}
