package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// adamState is what a step of AdamW works on, in native memory.
func adamState(t *testing.T, random *rand.Rand, n int) AdamW {
	t.Helper()
	var native arena
	t.Cleanup(native.free)
	a := AdamW{LR: 0.01, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, Scale: 0.5, Step: 3}
	for _, x := range []*[]float32{&a.Master, &a.M, &a.V, &a.Grad} {
		if err := taken(&native, x, n); err != nil {
			t.Fatal(err)
		}
		for i := range *x {
			(*x)[i] = float32(random.NormFloat64())
		}
	}
	for i, v := range a.V {
		a.V[i] = v * v
	}
	if err := taken(&native, &a.Rounded, n); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAdamW compares the reference with the formula in float64, and every table with the
// reference bit for bit.
func TestAdamW(t *testing.T) {
	for _, table := range Tables() {
		random := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{1, 17, updateChunk, 2*updateChunk + 31} {
			a := adamState(t, rand.New(rand.NewPCG(3, uint64(n))), n)
			b := adamState(t, rand.New(rand.NewPCG(3, uint64(n))), n)
			i := random.IntN(n)
			want := adamFormula(a, i)
			Reference.AdamW(a)
			if math.Abs(float64(a.Master[i])-want) > 1e-6 {
				t.Errorf("element %d of %d is %g, want %g", i, n, a.Master[i], want)
			}
			table.AdamW(b)
			if !slices.Equal(a.Master, b.Master) || !slices.Equal(a.M, b.M) || !slices.Equal(a.V, b.V) || !slices.Equal(a.Grad, b.Grad) || !slices.Equal(a.Rounded, b.Rounded) {
				t.Errorf("%s: a step over %d elements has other bits than the reference", table.Name, n)
			}
		}
	}
}

func adamFormula(a AdamW, i int) float64 {
	g := float64(a.Grad[i]) * a.Scale
	m := a.Beta1*float64(a.M[i]) + (1-a.Beta1)*g
	v := a.Beta2*float64(a.V[i]) + (1-a.Beta2)*g*g
	mh, vh := m/(1-math.Pow(a.Beta1, float64(a.Step))), v/(1-math.Pow(a.Beta2, float64(a.Step)))
	return float64(a.Master[i])*(1-a.LR*a.Decay) - a.LR*mh/(math.Sqrt(vh)+a.Eps)
}

func TestSumSquares(t *testing.T) {
	for _, n := range []int{0, 1, 40, updateChunk, 3*updateChunk + 5} {
		a := adamState(t, rand.New(rand.NewPCG(4, uint64(n))), max(n, 1))
		x := a.Master[:n]
		var want float64
		for _, v := range x {
			want += float64(v) * float64(v)
		}
		for _, table := range Tables() {
			got := table.SumSquares(x)
			if got != sumSquares(x) || math.Abs(got-want) > 1e-5*want {
				t.Errorf("%s: the sum of %d squares is %g, want %g", table.Name, n, got, want)
			}
		}
	}
}
