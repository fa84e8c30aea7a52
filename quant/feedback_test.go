package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// inputs are n rows of activations whose columns depend on each other and differ in size,
// as those of models do.
func inputs(rng *rand.Rand, n, cols int) [][]float64 {
	const causes = 24
	mixing := make([][causes]float64, cols)
	size := make([]float64, cols)
	for j := range mixing {
		size[j] = math.Exp(rng.NormFloat64())
		for c := range causes {
			mixing[j][c] = rng.NormFloat64() / math.Sqrt(causes)
		}
	}
	rows := make([][]float64, n)
	for r := range rows {
		var cause [causes]float64
		for c := range cause {
			cause[c] = rng.NormFloat64()
		}
		rows[r] = make([]float64, cols)
		for j := range rows[r] {
			for c, v := range cause {
				rows[r][j] += mixing[j][c] * v
			}
			rows[r][j] = size[j] * (rows[r][j] + 0.3*rng.NormFloat64())
		}
	}
	return rows
}

func productsOf(x [][]float64, cols int) []float32 {
	sums := make([]float64, cols*cols)
	for _, row := range x {
		for i, a := range row {
			for j, b := range row {
				sums[i*cols+j] += a * b
			}
		}
	}
	h := make([]float32, len(sums))
	for i, v := range sums {
		h[i] = float32(v)
	}
	return h
}

// outputError is the sum of the squared errors of x w, of rows w that became got.
func outputError(x [][]float64, w, got []float32, cols int) (sum float64) {
	for at := 0; at < len(w); at += cols {
		for _, row := range x {
			var y float64
			for j, v := range row {
				y += v * (float64(w[at+j]) - float64(got[at+j]))
			}
			sum += y * y
		}
	}
	return sum
}

// TestFeedback: what a product is off by is a fraction of what rounding each value to the
// nearest leaves, with the same weights of the columns, in every type, also on rows that
// were not measured.
func TestFeedback(t *testing.T) {
	const cols, rows = 512, 8
	rng := rand.New(rand.NewPCG(17, 18))
	x := inputs(rng, 3*cols, cols)
	seen, unseen := x[:2*cols], x[2*cols:]
	h := productsOf(seen, cols)
	f, err := NewFeedback(h)
	if err != nil {
		t.Fatal(err)
	}
	importance := make([]float32, cols)
	for j := range importance {
		importance[j] = h[j*cols+j]
	}
	w := samples()["normal"][:rows*cols]
	for _, d := range encodable {
		raw, got, plain := make([]byte, d.RowBytes(len(w))), make([]float32, len(w)), []float32(nil)
		if err := f.Quantize(d, raw, w); err != nil {
			t.Fatal(err)
		}
		Dequantize(d, got, raw)
		for at := 0; at < len(w); at += cols {
			plain = append(plain, roundTrip(t, d, w[at:][:cols], importance)...)
		}
		for name, x := range map[string][][]float64{"measured": seen, "other": unseen} {
			a, b := outputError(x, w, got, cols), outputError(x, w, plain, cols)
			t.Logf("%v, %s rows: %.3f of the error", d, name, a/b)
			if a > 0.5*b {
				t.Errorf("%v: on %s rows %.3f of the error of rounding to the nearest, want at most half", d, name, a/b)
			}
		}
	}
}

// TestFactor: R R^T is the matrix, R upper triangular.
func TestFactor(t *testing.T) {
	const n = 96
	h := productsOf(inputs(rand.New(rand.NewPCG(1, 2)), 300, n), n)
	r := make([]float64, n*n)
	for i, v := range h {
		r[i] = float64(v)
	}
	if bad := factor(r, n); bad >= 0 {
		t.Fatalf("column %d is found to depend on others", bad)
	}
	for i := range n {
		for j := i; j < n; j++ {
			var got float64
			for m := j; m < n; m++ {
				got += r[i*n+m] * r[j*n+m]
			}
			if want := float64(h[i*n+j]); math.Abs(got-want) > 1e-9*math.Sqrt(float64(h[i*n+i])*float64(h[j*n+j])) {
				t.Fatalf("element %d, %d is %v, want %v", i, j, got, want)
			}
		}
	}
}

// TestFeedbackWithout: where columns are independent nothing is passed on, and each block is
// the one that the type's search finds, the columns weighed by their squares.
func TestFeedbackWithout(t *testing.T) {
	const cols = 256
	h := make([]float32, cols*cols)
	for j := range cols {
		h[j*cols+j] = float32(1 + j%7)
	}
	f, err := NewFeedback(h)
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range samples() {
		for _, d := range encodable {
			c := codecOf(d)
			if c.search == nil {
				continue
			}
			raw, plain := make([]byte, d.RowBytes(4*cols)), make([]byte, d.BlockBytes())
			if err := f.Quantize(d, raw, src[:4*cols]); err != nil {
				t.Fatal(err)
			}
			for at, n := 0, d.BlockElems(); at < 4*cols; at += n {
				x := make([]float64, n)
				for i := range x {
					x[i] = float64(src[at+i])
				}
				c.search(plain, x, f.weights[at%cols:][:n])
				if !bytes.Equal(raw[at/n*len(plain):][:len(plain)], plain) {
					t.Fatalf("%v %s: the block at %d has other bytes than the search's", d, name, at)
				}
			}
		}
	}
}

func TestFeedbackRefuses(t *testing.T) {
	h := make([]float32, 32*32)
	for _, c := range []struct {
		diagonal, corner float32
		want             string
	}{
		{0, 0, "add up to 0"}, {float32(math.NaN()), 0, "add up to NaN"}, {float32(math.Inf(1)), 0, "add up to +Inf"}, {1, 5, "column 0"},
	} {
		for j := range 32 {
			h[33*j] = c.diagonal
		}
		h[31] = c.corner
		if _, err := NewFeedback(h); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("a diagonal of %g with %g in the corner gives %v, want %q", c.diagonal, c.corner, err, c.want)
		}
	}
	h[31] = 0
	f, err := NewFeedback(h)
	if err != nil {
		t.Fatal(err)
	}
	src := make([]float32, 64)
	src[40] = float32(math.NaN())
	if err := f.Quantize(Q4_0, make([]byte, 36), src); err == nil || !strings.Contains(err.Error(), "element 40 is NaN") {
		t.Errorf("NaN gives %v", err)
	}
}
