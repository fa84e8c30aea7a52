package kernels

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

// tied is a program in which one weight of 35 rows is a table of embeddings and the
// matrix of a product, as the heads of small models are: two groups of 16 rows
// interleave, three rows lie as they are.
func tied(w Tensor) *Program {
	b := NewBuilder(ActInt8, KVBF16)
	b.Output(b.Linear(b.Embed(w, 1), w, Tensor{}))
	return b.Program()
}

// run35 returns the logits of tokens 0 ... 34.
func run35(t *testing.T, p *Program, table *Table) []float32 {
	t.Helper()
	r, err := NewRunner(p, table, Limits{Tokens: 35, LogitRows: 35, Seqs: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	batch := wholeBatch([]int{35})
	if err := r.Run(&batch); err != nil {
		t.Fatal(err)
	}
	out, _, _ := r.Output()
	return slices.Clone(out)
}

// TestRepackChangesNoBit: embeddings and products of every type of weight are the same
// from its interleaved form as from rows, and types without one are copied.
func TestRepackChangesNoBit(t *testing.T) {
	lib := Open(2, Options{})
	defer lib.Close()
	if lib.Err() != nil {
		t.Skipf("no native tables: %v", lib.Err())
	}
	random := rand.New(rand.NewPCG(41, 42))
	for _, d := range nativeTypes {
		w := anyWeight(random, d, 35, 512)
		for _, table := range lib.Tables()[:len(lib.Tables())-1] {
			plain, packed := tied(w), tied(w)
			if err := lib.Repack(packed, table); err != nil {
				t.Fatal(err)
			}
			copied := slices.IndexFunc(packed.Operands, func(o Operand) bool { return o.Kind == Weight })
			if got, want := packed.Operands[copied].Interleaved, slices.Contains(interleavable, d) || d == quant.BF16 && table.Name == pairsTable; got != want {
				t.Errorf("%v: interleaved %v, want %v", d, got, want)
			}
			if !slices.EqualFunc(run35(t, packed, table), run35(t, plain, table), sameBits) {
				t.Errorf("%v on %s: the interleaved weight gives other bits", d, table.Name)
			}
			plain.Close()
			packed.Close()
		}
	}
}

// TestLoadCopies: the reference reads a copy in rows, and refuses an interleaved one.
func TestLoadCopies(t *testing.T) {
	lib := Open(1, Options{})
	defer lib.Close()
	if lib.Err() != nil {
		t.Skipf("no native tables: %v", lib.Err())
	}
	w := randomWeight(rand.New(rand.NewPCG(43, 44)), quant.Q4_0, 35, 64)
	plain, loaded, packed := tied(w), tied(w), tied(w)
	defer plain.Close()
	defer loaded.Close()
	defer packed.Close()
	if err := lib.Load(loaded); err != nil {
		t.Fatal(err)
	}
	if len(loaded.Memory()) < len(w.Data) || &loaded.Operands[0].Data[0] == &w.Data[0] {
		t.Error("the weight was not copied")
	}
	if !slices.EqualFunc(run35(t, loaded, Reference), run35(t, plain, Reference), sameBits) {
		t.Error("the copy gives other bits")
	}
	if err := lib.Repack(packed, lib.Tables()[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRunner(packed, Reference, Limits{Tokens: 1, LogitRows: 1, Seqs: 1}); err == nil {
		t.Error("the reference took an interleaved weight")
	}
}

// TestExpertsInterleaveInWholeGroups: an expert whose rows are no multiple of 16 would
// share a group with the next one.
func TestExpertsInterleaveInWholeGroups(t *testing.T) {
	random := rand.New(rand.NewPCG(45, 46))
	for outs, want := range map[int]bool{16: true, 32: true, 24: false} {
		w := randomWeight(random, quant.Q4_0, 4, outs, 64)
		b := NewBuilder(ActInt8, KVBF16)
		x := b.Embed(randomF32(random, 8, 68), 1)
		ids, weights := b.Route(b.View(x, 64, 4), 2, true, 1)
		b.Output(b.Combine(b.ExpertLinear(b.View(x, 0, 64), ids, w, Tensor{}), weights))
		p := b.Program()
		v := slices.IndexFunc(p.Operands, func(o Operand) bool { return o.DType == quant.Q4_0 })
		if got := p.interleaves(int32(v), Reference); got != want {
			t.Errorf("experts of %d rows: interleaved %v, want %v", outs, got, want)
		}
		p.Close()
	}
}
