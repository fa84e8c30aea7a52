package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// worst bounds the error of an element of a searched or reference-rounded block as a
// share of the block's largest magnitude: one step of the coarsest group (the largest
// element may lie one step outside of the range), plus what rounding the scales costs.
var worst = map[DType]float64{
	F32: 0, F16: 0x1p-11, BF16: 0x1p-8,
	Q8_0: 1.0/254 + 0x1p-10, Q5_0: 1.0/16 + 0x1p-10, Q5_1: 2.0/62 + 0x1p-9, Q4_0: 1.0/8 + 0x1p-10, Q4_1: 2.0/30 + 0x1p-9,
	MXFP4: 1.0/4 + 0x1p-10,
	Q2_K:  2.0 / 3, Q3_K: 1.0 / 2, Q4_K: 2.0 / 15, Q5_K: 2.0 / 31, Q6_K: 1.0 / 24, IQ4_NL: 0.16, IQ4_XS: 0.16,
}

// tiny is the error that F16 scales cannot avoid in rows of the smallest numbers: half
// of F16's smallest step times the largest integer it multiplies.
const tiny = 0x1p-25 * 128

// checkRoundTrip quantizes src and holds every element to worst.
func checkRoundTrip(t *testing.T, d DType, src []float32) {
	t.Helper()
	got := roundTrip(t, d, src, nil)
	elems := max(d.BlockElems(), 1)
	for at := 0; at < len(src); at += elems {
		peak := math.Abs(float64(largest(src[at:][:elems])))
		for i := at; i < at+elems; i++ {
			diff := math.Abs(float64(got[i]) - float64(src[i]))
			if !(diff <= worst[d]*peak+tiny) {
				t.Fatalf("%v: element %d of a block up to %g is %g, came back as %g", d, i-at, peak, src[i], got[i])
			}
		}
	}
}

func TestRoundTripErrorsAreBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	shapes := []func(i int) float64{
		func(int) float64 { return rng.NormFloat64() },
		func(int) float64 { return math.Abs(rng.NormFloat64()) },
		func(int) float64 { return -3 - math.Abs(rng.NormFloat64()) },
		func(int) float64 { return math.Pow(rng.NormFloat64(), 5) },
		func(i int) float64 { return float64(i / 77 % 2) },                           // constants
		func(i int) float64 { return float64(i) - 128 },                              // a ramp
		func(i int) float64 { return rng.NormFloat64() * math.Exp2(-float64(i/16)) }, // uneven groups
		func(i int) float64 { return max(0, 1-math.Abs(float64(i-99))) },             // one element
	}
	for range 60 {
		scale := math.Exp(rng.Float64()*20 - 13) // 2e-6 .. 1e3
		for _, shape := range shapes {
			src := make([]float32, 256)
			for i := range src {
				src[i] = float32(min(max(shape(i)*scale, -maxF16), maxF16))
			}
			for d := range worst {
				checkRoundTrip(t, d, src)
			}
		}
	}
}

// FuzzDequantize: no bytes make a decoder panic, and the integer form has its values.
func FuzzDequantize(f *testing.F) {
	for d := range layouts {
		f.Add(uint32(d), bytes.Repeat([]byte{0xff}, 300))
		f.Add(uint32(d), bytes.Repeat([]byte{0x01, 0x7c, 0x80}, 100)) // F16 infinities
	}
	f.Fuzz(func(t *testing.T, number uint32, data []byte) {
		d := DType(number % uint32(len(codecs)))
		if !CanDequantize(d) {
			return
		}
		blocks := len(data) / d.BlockBytes()
		data = data[:blocks*d.BlockBytes()]
		values := make([]float32, blocks*d.BlockElems())
		Dequantize(d, values, data)
		var row IntRow
		if !IntForm(d, &row, data) {
			return
		}
		for i, want := range values {
			got := float32(row.Scale[i/row.Group] * float32(row.Q[i]))
			if row.Min != nil {
				got -= row.Min[i/row.Group]
			}
			if got != want && want == want {
				t.Fatalf("%v: element %d is %g as integers, %g as decoded", d, i, got, want)
			}
		}
	})
}

// FuzzQuantize: any row comes back within bounds, and with any importance finite. Two
// bytes make a value, significand and exponent, so that no row is refused.
func FuzzQuantize(f *testing.F) {
	for d := range worst {
		f.Add(uint32(d), bytes.Repeat([]byte{1, 20, 0x83, 19, 77, 21, 3, 2}, 64), []byte{1})
		f.Add(uint32(d), bytes.Repeat([]byte{1, 0, 0xff, 0, 0, 0}, 86), []byte{0, 0, 0, 255})
		f.Add(uint32(d), bytes.Repeat([]byte{0x80, 27, 0, 0, 127, 27}, 86), []byte{200, 3})
	}
	f.Fuzz(func(t *testing.T, number uint32, data, weights []byte) {
		d := DType(number % uint32(len(codecs)))
		if !CanQuantize(d) {
			return
		}
		src := make([]float32, len(data)/2/d.BlockElems()*d.BlockElems())
		for i := range src {
			src[i] = float32(math.Ldexp(float64(int8(data[2*i])), int(data[2*i+1]%28)-20))
		}
		checkRoundTrip(t, d, src)
		if len(weights) == 0 {
			return
		}
		importance := make([]float32, len(src))
		for i := range importance {
			importance[i] = float32(math.Ldexp(1, int(weights[i%len(weights)])-128))
		}
		for i, v := range roundTrip(t, d, src, importance) {
			if v-v != 0 {
				t.Fatalf("%v: element %d became %g", d, i, v)
			}
		}
	})
}
