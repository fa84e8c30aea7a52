package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

// norms runs AdaptedNorms.
func (s *adaptedScene) norms(t *testing.T, table *Table, l LowRank) []float32 {
	t.Helper()
	return s.run(t, table, false, false, nil, func(b *Builder, _ Value) Value { return b.AdaptedNorms(l, s.w) })
}

// TestAdaptedNorms: the lengths are those of float64, with the same bits on every table.
func TestAdaptedNorms(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, d := range []quant.DType{quant.F32, quant.BF16, quant.Q8_0, quant.Q4_K} {
		s := newAdaptedScene(random, d, ActBF16)
		l := s.stacked()
		ref := s.norms(t, Reference, l)
		for _, table := range Tables() {
			if got := s.norms(t, table, l); !sameAll(got, ref) {
				t.Errorf("%s: %v: the norms are %v, the reference's %v", table.Name, d, got[:4], ref[:4])
			}
		}
		near(t, d.String(), ref, lengths(s.w, l), 1e-5)
	}
}

// lengths are the norms in float64.
func lengths(w Tensor, l LowRank) (all []float64) {
	k, outs, rank := w.Cols(), w.Rows(), l.A.Shape[1]
	wide := func(t Tensor) []float32 {
		out := make([]float32, t.Elems())
		for r := range t.Rows() {
			size := t.DType.RowBytes(t.Cols())
			quant.Dequantize(t.DType, out[r*t.Cols():][:t.Cols()], t.Data[r*size:][:size])
		}
		return out
	}
	rows, down, up := wide(w), wide(l.A), wide(l.B)
	for n, scale := range l.Scale {
		for o := range outs {
			var squares float64
			for i := range k {
				v := float64(rows[o*k+i])
				for r := range rank {
					v += float64(scale) * float64(up[(n*outs+o)*rank+r]) * float64(down[(n*rank+r)*k+i])
				}
				squares += v * v
			}
			all = append(all, math.Sqrt(squares))
		}
	}
	return all
}

// TestMagnitude: a row of a batch is, bit for bit, what the adapter without a magnitude
// gives times magnitude / norm, plus the bias; without an adapter that of the plain product.
func TestMagnitude(t *testing.T) {
	for _, table := range Tables() {
		random := rand.New(rand.NewPCG(5, 6))
		for _, d := range []quant.DType{quant.F32, quant.Q4_K} {
			for _, act := range []Activations{ActBF16, ActInt8} {
				s := newAdaptedScene(random, d, act)
				bias, all := randomF32(random, 80), s.stacked()
				plain := s.run(t, table, false, false, s.takes, s.adapted)
				all.Magnitude, all.Norms = randomF32(random, 3, 80), randomF32(random, 3, 80)
				got := s.run(t, table, false, false, s.takes, func(b *Builder, x Value) Value {
					b.Adapt(func(Tensor) LowRank { return all })
					return b.Linear(x, s.w, bias)
				})
				s.checkMagnitudes(t, fmt.Sprint(table.Name, " ", d, " ", act), got, plain, all, bias)
			}
		}
	}
}

func (s *adaptedScene) checkMagnitudes(t *testing.T, what string, got, plain []float32, l LowRank, bias Tensor) {
	t.Helper()
	m, norms, shift := floats(l.Magnitude), floats(l.Norms), floats(bias)
	want := slices.Clone(plain)
	row := 0
	for i, n := range s.seqs {
		for range n {
			for o := range 80 {
				at := row*80 + o
				if id := int(s.takes[i]) - 1; id >= 0 {
					want[at] *= m[id*80+o] / norms[id*80+o]
				}
				want[at] += shift[o]
			}
			row++
		}
	}
	if !sameAll(got, want) {
		t.Errorf("%s: %v..., want %v...", what, got[:4], want[:4])
	}
}
