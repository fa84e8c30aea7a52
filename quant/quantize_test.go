package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

func TestQuantizeEqualsGoldens(t *testing.T) {
	_, dir := goldenTypes(t)
	for _, d := range []DType{F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, MXFP4} {
		arrays := golden(t, filepath.Join(dir, d.String()+".safetensors"))
		src := float32s(arrays["source"])
		got := make([]byte, d.RowBytes(len(src)))
		if err := Quantize(d, got, src, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, arrays["quantized"]) {
			t.Errorf("%v differs from the golden bytes", d)
		}
	}
}

// encodable are the block types that Quantize takes.
var encodable = []DType{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, MXFP4}

func TestCanQuantizeNamesTheTypesThatWork(t *testing.T) {
	want := map[DType]bool{F32: true, F16: true, BF16: true}
	for _, d := range encodable {
		want[d] = true
	}
	for d := range layouts {
		if CanQuantize(d) != want[d] {
			t.Errorf("CanQuantize(%v) = %v", d, !want[d])
		}
	}
}

// samples are rows of 4096 values: what weights look like, and what breaks scales.
func samples() map[string][]float32 {
	rng := rand.New(rand.NewPCG(5, 6))
	row := func(f func(i int) float64) []float32 {
		x := make([]float32, 4096)
		for i := range x {
			x[i] = float32(f(i))
		}
		return x
	}
	return map[string][]float32{
		"normal": row(func(int) float64 { return rng.NormFloat64() * 0.02 }),
		"heavy": row(func(int) float64 {
			return rng.NormFloat64() * math.Exp(rng.NormFloat64()*0.7)
		}),
		"uneven": row(func(i int) float64 { // every 16 columns a new scale
			return rng.NormFloat64() * math.Pow(2, float64(i/16%5))
		}),
		"positive": row(func(int) float64 { return math.Abs(rng.NormFloat64()) + 0.1 }),
	}
}

func roundTrip(t testing.TB, d DType, src, importance []float32) []float32 {
	t.Helper()
	raw, got := make([]byte, d.RowBytes(len(src))), make([]float32, len(src))
	if err := Quantize(d, raw, src, importance); err != nil {
		t.Fatal(err)
	}
	Dequantize(d, got, raw)
	return got
}

// rmse is the root of the mean of w*(a-b)^2; a nil w is one.
func rmse(a, b, w []float32) float64 {
	var sum float64
	for i := range a {
		diff := float64(a[i]) - float64(b[i])
		if w != nil {
			diff *= math.Sqrt(float64(w[i]))
		}
		sum += diff * diff
	}
	return math.Sqrt(sum / float64(len(a)))
}

// nearestRow rounds to nearest with the plainest scales, kept in float64: the largest
// element of a group at the end of the range or, with an offset, the smallest and the
// largest (and zero) at both ends.
func nearestRow(src []float32, group int, levels float64, offset bool) []float32 {
	out := make([]float32, len(src))
	for at := 0; at < len(src); at += group {
		low, high, peak := 0.0, 0.0, 0.0
		for _, v := range src[at:][:group] {
			low, high = min(low, float64(v)), max(high, float64(v))
			peak = max(peak, math.Abs(float64(v)))
		}
		scale, base := 2*peak/levels, 0.0
		if offset {
			scale, base = (high-low)/levels, low
		}
		for i := at; i < at+group; i++ {
			out[i] = float32(math.RoundToEven((float64(src[i])-base)/scale)*scale + base)
		}
	}
	return out
}

// The searched scales, although stored in few bits, must beat scales taken from the
// range and stored in full: by the factor in the table, on every sample.
func TestSearchBeatsRoundingToNearest(t *testing.T) {
	for _, c := range []struct {
		d      DType
		group  int
		levels float64 // steps in the range
		offset bool
		factor float64
	}{
		{Q2_K, 16, 3, true, 0.9},
		{Q3_K, 16, 7, false, 0.8},
		{Q4_K, 32, 15, true, 0.94},
		{Q5_K, 32, 31, true, 0.98},
		{Q6_K, 16, 63, false, 0.87},
		{IQ4_NL, 32, 15, false, 0.78},
		{IQ4_XS, 32, 15, false, 0.79},
	} {
		for name, src := range samples() {
			got := rmse(roundTrip(t, c.d, src, nil), src, nil)
			plain := rmse(nearestRow(src, c.group, c.levels, c.offset), src, nil)
			if got > c.factor*plain {
				t.Errorf("%v %s: rms error %.4g is %.3f of rounding to nearest, want at most %g", c.d, name, got, got/plain, c.factor)
			}
		}
	}
}

func BenchmarkQuantize(b *testing.B) {
	src := samples()["normal"]
	for _, d := range encodable {
		b.Run(d.String(), func(b *testing.B) {
			dst := make([]byte, d.RowBytes(len(src)))
			b.SetBytes(int64(4 * len(src)))
			for b.Loop() {
				if err := Quantize(d, dst, src, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDequantize(b *testing.B) {
	for d := range layouts {
		if !CanDequantize(d) {
			continue
		}
		b.Run(d.String(), func(b *testing.B) {
			dst, src := make([]float32, 4096), make([]byte, d.RowBytes(4096))
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				Dequantize(d, dst, src)
			}
		})
	}
}

func TestQuantizeRefusesWhatItCannotStore(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		d     DType
		value float32
		want  string
	}{
		{F32, nan, "element 300 is NaN"}, {Q4_K, inf, "element 300 is +Inf"}, {MXFP4, -inf, "element 300 is -Inf"},
		{F16, 65505, "element 300 is 65505, above"}, {Q8_0, -1e6, "element 300 is -1e+06, above"},
		{BF16, math.MaxFloat32, "element 300 is 3.4028235e+38, above"},
	} {
		src := make([]float32, 512)
		src[300] = c.value
		dst := make([]byte, c.d.RowBytes(512))
		dst[0] = 77
		err := Quantize(c.d, dst, src, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || dst[0] != 77 {
			t.Errorf("%v of %g: error %v, want %q and the row left alone", c.d, c.value, err, c.want)
		}
	}
	importance := make([]float32, 256)
	for _, bad := range []float32{-1, nan, inf} {
		importance[9] = bad
		err := Quantize(Q4_K, make([]byte, 144), make([]float32, 256), importance)
		if err == nil || !strings.Contains(err.Error(), "importance weight 9") {
			t.Errorf("importance %g: error %v", bad, err)
		}
	}
}

// Where few columns matter, their errors must shrink, whatever becomes of the others.
func TestImportanceLowersTheWeightedError(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	importance := make([]float32, 4096)
	for i := range importance {
		importance[i] = float32(math.Exp(rng.NormFloat64() * 2))
	}
	clear(importance[512:1024]) // whole blocks of no weight
	for _, d := range encodable {
		if codecOf(d).search == nil {
			continue
		}
		for name, src := range samples() {
			with := roundTrip(t, d, src, importance)
			without := roundTrip(t, d, src, nil)
			if a, b := rmse(with, src, importance), rmse(without, src, importance); a > 0.98*b {
				t.Errorf("%v %s: weighted rms error %.4g with importance, %.4g without", d, name, a, b)
			}
			quiet := rmse(with[512:1024], src[512:1024], nil)
			if other := rmse(without[512:1024], src[512:1024], nil); quiet > 1.05*other {
				t.Errorf("%v %s: blocks without weight have rms error %.4g, want about %.4g", d, name, quiet, other)
			}
		}
	}
}

func TestCodecsDoNotAllocate(t *testing.T) {
	src, dst := samples()["heavy"], make([]float32, 4096)
	var row IntRow
	for _, d := range append([]DType{F16, BF16}, encodable...) {
		raw := make([]byte, d.RowBytes(len(src)))
		allocs := testing.AllocsPerRun(20, func() {
			if err := Quantize(d, raw, src, nil); err != nil {
				t.Fatal(err)
			}
			Dequantize(d, dst, raw)
		})
		if allocs != 0 {
			t.Errorf("%v: %g allocations a row", d, allocs)
		}
		if allocs := testing.AllocsPerRun(20, func() { IntForm(d, &row, raw) }); allocs != 0 {
			t.Errorf("%v: IntForm makes %g allocations a row", d, allocs)
		}
	}
}

func TestWrongLengthsAreBugs(t *testing.T) {
	for name, f := range map[string]func(){
		"short bytes":       func() { Dequantize(Q4_0, make([]float32, 32), make([]byte, 17)) },
		"part of a block":   func() { Dequantize(Q4_K, make([]float32, 128), make([]byte, 72)) },
		"no decoder":        func() { Dequantize(Q8_K, make([]float32, 256), make([]byte, 292)) },
		"unknown type":      func() { Dequantize(DType(4), nil, nil) },
		"no encoder":        func() { _ = Quantize(IQ1_S, make([]byte, 50), make([]float32, 256), nil) },
		"long row":          func() { _ = Quantize(Q4_0, make([]byte, 18), make([]float32, 64), nil) },
		"short importance":  func() { _ = Quantize(Q4_0, make([]byte, 18), make([]float32, 32), make([]float32, 31)) },
		"bytes of no block": func() { IntForm(Q6_K, new(IntRow), make([]byte, 211)) },
		"short activations": func() { QuantizeActs(make([]float32, 33), make([]int8, 33), make([]float32, 2), make([]int32, 2)) },
	} {
		func() {
			defer func() {
				if msg, ok := recover().(string); !ok || !strings.HasPrefix(msg, "BUG: ") {
					t.Errorf("%s: no BUG panic", name)
				}
			}()
			f()
		}()
	}
}
