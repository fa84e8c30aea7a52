package quant

import (
	"math"
	"math/rand/v2"
	"testing"
)

// nearest returns the candidate nearest to f, the even code where two are as near.
func nearest(f float64, decode func(uint16) float32, code uint16) uint16 {
	best := code
	for _, c := range []uint16{code - 1, code + 1} {
		v := float64(decode(c))
		if math.IsNaN(v) || math.IsInf(v, 0) || math.Signbit(v) != math.Signbit(f) {
			continue
		}
		old, now := math.Abs(float64(decode(best))-f), math.Abs(v-f)
		if now < old || now == old && c%2 == 0 {
			best = c
		}
	}
	return best
}

func TestHalvesSurviveTheRoundTrip(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		if f := F16ToF32(h); f == f && F32ToF16(f) != h {
			t.Fatalf("F16 %#04x -> %g -> %#04x", h, f, F32ToF16(f))
		}
		if f := BF16ToF32(h); f == f && F32ToBF16(f) != h {
			t.Fatalf("BF16 %#04x -> %g -> %#04x", h, f, F32ToBF16(f))
		}
	}
}

func TestHalvesRoundToTheNearestEven(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	check := func(f float32) {
		if h := F32ToF16(f); math.Abs(float64(f)) < 65504 && nearest(float64(f), F16ToF32, h) != h {
			t.Fatalf("F16 of %g is %#04x (%g)", f, h, F16ToF32(h))
		}
		if h := F32ToBF16(f); math.Abs(float64(f)) < 3.3e38 && nearest(float64(f), BF16ToF32, h) != h {
			t.Fatalf("BF16 of %g is %#04x (%g)", f, h, BF16ToF32(h))
		}
	}
	for range 500_000 {
		f := math.Float32frombits(rng.Uint32())
		if f == f {
			check(f)
			check(float32(rng.NormFloat64()) * 1e-6) // F16's subnormal range
		}
	}
	for i := range uint16(0x7bff) { // every tie of F16
		check(float32((float64(F16ToF32(i)) + float64(F16ToF32(i+1))) / 2))
	}
}

func TestHalvesAtTheEdges(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		f    float32
		f16  uint16
		bf16 uint16
	}{
		{0, 0, 0}, {float32(math.Copysign(0, -1)), 0x8000, 0x8000},
		{inf, 0x7c00, 0x7f80}, {-inf, 0xfc00, 0xff80},
		{65519, 0x7bff, 0x4780}, {65520, 0x7c00, 0x4780},
		{0x1p-25, 0, 0x3300}, {0x1.8p-25, 1, 0x3340}, {-0x1p-24, 0x8001, 0xb380},
		{math.MaxFloat32, 0x7c00, 0x7f80},
	} {
		if got := F32ToF16(c.f); got != c.f16 {
			t.Errorf("F16 of %g = %#04x, want %#04x", c.f, got, c.f16)
		}
		if got := F32ToBF16(c.f); got != c.bf16 {
			t.Errorf("BF16 of %g = %#04x, want %#04x", c.f, got, c.bf16)
		}
	}
	for _, bits := range []uint32{0x7f800001, 0xffc00000, 0x7fffffff, 0xff800100} {
		f := math.Float32frombits(bits)
		if h := F32ToF16(f); h&0x7e00 != 0x7e00 || h>>15 != uint16(bits>>31) {
			t.Errorf("F16 of NaN %#x is %#04x, no quiet NaN of its sign", bits, h)
		}
		if h := F32ToBF16(f); h&0x7fc0 != 0x7fc0 || h>>15 != uint16(bits>>31) {
			t.Errorf("BF16 of NaN %#x is %#04x, no quiet NaN of its sign", bits, h)
		}
	}
}

func TestHalfSlices(t *testing.T) {
	src, wide, half := []float32{1, -2.5, 65504}, make([]float32, 3), make([]uint16, 4)
	F32sToF16s(half, src)
	F16sToF32s(wide, half[:3])
	requireBits(t, "F16", wide, src)
	F32sToBF16s(half, src)
	BF16sToF32s(wide, half[:3])
	requireBits(t, "BF16", wide, []float32{1, -2.5, 65536})
	if half[3] != 0 {
		t.Errorf("wrote past the source's length")
	}
}
