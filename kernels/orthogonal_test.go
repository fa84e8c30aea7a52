package kernels

import (
	"math/rand/v2"
	"testing"
)

// TestOrthogonalizer: the rows of what comes out are nearly orthonormal, on every table,
// and as far from the reference as bf16 rounding in another order brings them.
func TestOrthogonalizer(t *testing.T) {
	for _, shape := range [][2]int{{1, 40}, {24, 24}, {48, 130}} {
		var want []float32
		for i := range Tables() {
			table := Tables()[len(Tables())-1-i] // the reference first
			o, err := NewOrthogonalizer(table, shape[0], shape[1])
			if err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 2))
			for i := range o.X {
				o.X[i] = float32(random.NormFloat64())
			}
			x, err := o.Run()
			if err != nil {
				t.Fatal(err)
			}
			for r := range shape[0] {
				if n := norm(x[r*shape[1]:][:shape[1]]); n < 0.6 || n > 1.3 {
					t.Errorf("%s: row %d of %v has the length %.3f", table.Name, r, shape, n)
				}
			}
			if want == nil {
				want = append(want, x...)
			} else if off := distance(x, want); off > 0.02 {
				t.Errorf("%s: %v is off by %.3g of its norm", table.Name, shape, off)
			}
			o.Close()
		}
	}
}
