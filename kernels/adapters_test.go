package kernels

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

// adaptedScene is a product with some adapters of different ranks, and sequences that
// take them or none.
type adaptedScene struct {
	probe
	w     Tensor
	alone []LowRank // [N], one adapter each
	takes []int32   // [S]
}

func newAdaptedScene(random *rand.Rand, d quant.DType, act Activations) *adaptedScene {
	s := &adaptedScene{takes: []int32{0, 2, 1, 2, 3, 0, 1}}
	s.name, s.act, s.seqs = d.String(), act, []int{2, 1, 5, 3, 1, 1, 9}
	s.input = randomF32(random, 22, 96)
	if d == quant.Q4_K {
		s.input = randomF32(random, 22, 256)
	}
	s.w = anyWeight(random, d, 80, s.input.Cols())
	for i, rank := range []int{3, 21, 16} {
		a := LowRank{A: randomF32(random, 1, rank, s.w.Cols()), B: randomF32(random, 1, 80, rank), Scale: []float32{0.5 * float32(i)}} // 0 too
		a = a.padded((rank + RankMultiple - 1) / RankMultiple * RankMultiple)
		if d != quant.F32 {
			a.A, a.B = inBF16(a.A), inBF16(a.B)
		}
		s.alone = append(s.alone, a)
	}
	return s
}

func inBF16(w Tensor) Tensor {
	out := Tensor{Name: w.Name, DType: quant.BF16, Shape: w.Shape, Data: make([]byte, 2*w.Elems())}
	quant.F32sToBF16s(view[uint16](out.Data, w.Elems()), view[float32](w.Data, w.Elems()))
	return out
}

// padded returns a single adapter of a higher rank.
func (a LowRank) padded(rank int) LowRank {
	size, was, k, outs := a.A.DType.BlockBytes(), a.A.Shape[1], a.A.Shape[2], a.B.Shape[1]
	out := a
	out.A.Shape, out.A.Data = []int{1, rank, k}, make([]byte, rank*k*size)
	out.B.Shape, out.B.Data = []int{1, outs, rank}, make([]byte, rank*outs*size)
	copy(out.A.Data, a.A.Data)
	for o := range outs {
		copy(out.B.Data[o*rank*size:], a.B.Data[o*was*size:][:was*size])
	}
	return out
}

// stacked pads the adapters' ranks to 64 and puts them one after another.
func (s *adaptedScene) stacked() (all LowRank) {
	for i, a := range s.alone {
		a = a.padded(64)
		if i == 0 {
			all.A, all.B = a.A, a.B
			all.A.Data, all.B.Data = nil, nil
		}
		all.A.Data, all.B.Data = append(all.A.Data, a.A.Data...), append(all.B.Data, a.B.Data...)
		all.Scale = append(all.Scale, a.Scale[0])
	}
	n := len(s.alone)
	all.A.Shape, all.B.Shape = []int{n, 64, s.w.Cols()}, []int{n, 80, 64}
	return all
}

// run returns what the product gives for the whole batch: in the order of the
// batch's tokens.
func (s *adaptedScene) run(t *testing.T, table *Table, repacked, logits bool, takes []int32, build func(b *Builder, x Value) Value) []float32 {
	t.Helper()
	b := NewBuilder(s.act, KVF32)
	x := b.Embed(s.input, 1)
	if logits {
		x = b.Rows(x)
	}
	b.Output(build(b, x))
	program := b.Program()
	defer program.Close()
	if repacked {
		if err := table.lib.Repack(program, table); err != nil {
			t.Fatal(err)
		}
	}
	r, err := NewRunner(program, table, s.limits())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	batch := wholeBatch(s.seqs)
	slices.Reverse(batch.LogitRows)
	batch.Adapters = takes
	if err := r.Run(&batch); err != nil {
		t.Fatal(err)
	}
	out, rows, width := r.Output()
	inOrder := make([]float32, len(out))
	for i := range rows {
		at := i
		if logits {
			at = rows - 1 - i
		}
		copy(inOrder[at*width:], out[i*width:][:width])
	}
	return inOrder
}

// TestAdapters: in one batch every row has the bits of a program with its adapter alone
// and less padding, which is how adapters train; without one, or with one that
// leaves the weight alone, those of a program without adapters. In every table, wherever
// the weights lie, of tokens and of rows of logits.
func TestAdapters(t *testing.T) {
	for _, table := range Tables() {
		random := rand.New(rand.NewPCG(5, 6))
		for _, d := range []quant.DType{quant.F32, quant.BF16, quant.Q8_0, quant.Q4_K} {
			for _, act := range []Activations{ActBF16, ActInt8} {
				s := newAdaptedScene(random, d, act)
				for _, logits := range []bool{false, true} {
					want := [][]float32{s.run(t, table, false, logits, nil, func(b *Builder, x Value) Value { return b.Linear(x, s.w, Tensor{}) })}
					for _, a := range s.alone {
						want = append(want, s.run(t, table, false, logits, nil, func(b *Builder, x Value) Value {
							return b.adaptAll(x, b.Linear(x, s.w, Tensor{}), a)
						}))
					}
					want[1] = want[0] // its scale is 0
					for _, repacked := range []bool{false, true} {
						if repacked && table == Reference {
							continue
						}
						s.check(t, table, want, s.run(t, table, repacked, logits, s.takes, s.adapted))
						s.check(t, table, [][]float32{want[0], want[0], want[0], want[0]}, s.run(t, table, repacked, logits, nil, s.adapted))
					}
				}
			}
		}
	}
}

func (s *adaptedScene) adapted(b *Builder, x Value) Value {
	all := s.stacked()
	b.Adapt(func(w Tensor) LowRank {
		if w.Name == s.w.Name {
			return all
		}
		return LowRank{}
	})
	return b.Linear(x, s.w, Tensor{})
}

func (s *adaptedScene) check(t *testing.T, table *Table, want [][]float32, got []float32) {
	t.Helper()
	row, width := 0, s.w.Rows()
	for i, n := range s.seqs {
		for range n {
			for o := range width {
				if at := row*width + o; !sameBits(got[at], want[s.takes[i]][at]) {
					t.Fatalf("%s, %s with %v: element %d of row %d, of adapter %d, is %g, want %g", table.Name, s.name, s.act, o, row, s.takes[i], got[at], want[s.takes[i]][at])
				}
			}
			row++
		}
	}
}

// TestAdaptFormula holds the reference to the formula in float64.
func TestAdaptFormula(t *testing.T) {
	s := newAdaptedScene(rand.New(rand.NewPCG(1, 2)), quant.F32, ActBF16)
	got := s.run(t, Reference, false, false, s.takes, s.adapted)
	at, f := 0, func(w Tensor) []float32 { return view[float32](w.Data, w.Elems()) }
	row := 0
	for i, n := range s.seqs {
		for range n {
			x := f(s.input)[row*96:][:96]
			for o := range 80 {
				want := dot64(f(s.w)[o*96:][:96], x)
				if id := s.takes[i] - 1; id >= 0 {
					a := s.alone[id]
					rank := a.A.Shape[1]
					for j := range rank {
						want += float64(a.Scale[0]) * float64(f(a.B)[o*rank+j]) * dot64(f(a.A)[j*96:][:96], x)
					}
				}
				if d := float64(got[at]) - want; d > 1e-3 || d < -1e-3 {
					t.Fatalf("row %d, column %d: %g, want %g", row, o, got[at], want)
				}
				at++
			}
			row++
		}
	}
}

func dot64(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// TestAdaptersRefused: adapters that do not fit the weight, or that a batch names though
// the program has fewer.
func TestAdaptersRefused(t *testing.T) {
	s := newAdaptedScene(rand.New(rand.NewPCG(1, 2)), quant.F32, ActBF16)
	b := NewBuilder(ActBF16, KVF32)
	b.Output(s.adapted(b, b.Embed(s.input, 1)))
	program := b.Program()
	defer program.Close()
	r, err := NewRunner(program, Reference, s.limits())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, takes := range [][]int32{{0, 1, 2, 3, 4, 0, 0}, {0, 0, 0, -1, 0, 0, 0}, {1}} {
		batch := wholeBatch(s.seqs)
		batch.Adapters = takes
		if err := r.Run(&batch); err == nil {
			t.Errorf("a batch with the adapters %v runs", takes)
		}
	}
	defer func() {
		if _, ok := recover().(*ShapeError); !ok {
			t.Error("adapters of another shape are accepted")
		}
	}()
	b = NewBuilder(ActBF16, KVF32)
	defer b.Close()
	b.Adapt(func(Tensor) LowRank { return s.stacked() })
	b.Linear(b.Embed(s.input, 1), randomF32(rand.New(rand.NewPCG(1, 1)), 81, 96), Tensor{})
}
