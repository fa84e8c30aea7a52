package kernels

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

// layer is a small decoder layer with logits, as families build it.
func layer(random *rand.Rand, d quant.DType) *probe {
	const dim, vocab = 64, 96
	w := map[string]Tensor{}
	for _, name := range []string{"q", "k", "v", "o", "gate", "up", "down", "head"} {
		rows := dim
		switch name {
		case "k", "v":
			rows = dim / 2
		case "head":
			rows = vocab
		}
		t := randomWeight(random, d, rows, dim)
		t.Name = name
		w[name] = t
	}
	return &probe{name: "layer of " + d.String(), input: randomF32(random, 40, dim), seqs: []int{17, 23}, build: func(b *Builder, x Value) Value {
		table := b.RopeTable([]float32{1, 0.1, 0.01, 0.001}, 1)
		h := b.RMSNorm(x, Tensor{}, 0, 1e-5)
		q, k := b.RoPE(b.Linear(h, w["q"], Tensor{}), table, 4, 16, RopeHalf), b.RoPE(b.Linear(h, w["k"], Tensor{}), table, 2, 16, RopeHalf)
		a := b.Attention(0, q, k, b.Linear(h, w["v"], Tensor{}), AttentionArgs{Heads: 4, KVHeads: 2, KDim: 16, VDim: 16, Scale: 0.25})
		x = b.Add(x, b.Linear(a, w["o"], Tensor{}), 1)
		h = b.RMSNorm(x, Tensor{}, 0, 1e-5)
		x = b.Add(x, b.Linear(b.GLU(SiLU, b.Linear(h, w["gate"], Tensor{}), b.Linear(h, w["up"], Tensor{}), 0, 0), w["down"], Tensor{}), 1)
		return b.Linear(b.Rows(x), w["head"], Tensor{})
	}}
}

// A whole layer gives the same bits for the same row however it was batched, on every
// table, type of weight and form of activations.
func TestLayerIsTheSameInEveryBatch(t *testing.T) {
	random := rand.New(rand.NewPCG(41, 42))
	for _, table := range Tables() {
		for _, d := range []quant.DType{quant.F32, quant.BF16, quant.Q8_0, quant.Q4_0} {
			for _, act := range []Activations{ActBF16, ActInt8} {
				p := layer(random, d)
				p.name, p.act = table.Name+": "+p.name+" with "+act.String(), act
				whole, _ := runSteps(t, p, table, []Batch{wholeBatch(p.seqs)})
				for name, steps := range map[string][]Batch{"chunks of 7": chunks(p.seqs, 7), "chunks of 16": chunks(p.seqs, 16), "rows alone": singles(p.seqs)} {
					got, _ := runSteps(t, p, table, steps)
					same(t, p, name, got, whole)
				}
			}
		}
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	tables := Tables()
	if len(tables) == 1 {
		t.Skipf("no native tables: %v", shared().Err())
	}
	p := layer(rand.New(rand.NewPCG(43, 44)), quant.Q8_0)
	program := p.program()
	defer program.Close()
	r, err := NewRunner(program, tables[0], p.limits())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	batch := wholeBatch(p.seqs)
	n := testing.AllocsPerRun(20, func() {
		if err := r.Run(&batch); err != nil {
			t.Fatal(err)
		}
		r.Output()
	})
	if n != 0 {
		t.Errorf("a step makes %g allocations", n)
	}
}

// BenchmarkStep is the fixed cost of a step: checks, copies, one call, and a layer that
// is too small to matter.
func BenchmarkStep(b *testing.B) {
	p := layer(rand.New(rand.NewPCG(43, 44)), quant.Q8_0)
	program := p.program()
	defer program.Close()
	r, err := NewRunner(program, Tables()[0], p.limits())
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	batch := wholeBatch([]int{1})
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Run(&batch); err != nil {
			b.Fatal(err)
		}
	}
}

func TestProfileTimesEveryInstruction(t *testing.T) {
	p := layer(rand.New(rand.NewPCG(43, 44)), quant.Q8_0)
	program := p.program()
	defer program.Close()
	batch := wholeBatch(p.seqs)
	for _, table := range Tables() {
		r, err := NewRunner(program, table, p.limits())
		if err != nil {
			t.Fatal(err)
		}
		for _, on := range []bool{false, true} {
			r.Profile(on)
			if err := r.Run(&batch); err != nil {
				t.Fatal(err)
			}
			for i, nanos := range r.Nanos() {
				if (nanos > 0) != on {
					t.Errorf("%s: profile %v, but instruction %d took %d ns", table.Name, on, i, nanos)
				}
			}
		}
		r.Close()
	}
}

func TestCopyBlockMovesEveryLayersKeys(t *testing.T) {
	random := rand.New(rand.NewPCG(45, 46))
	for _, kv := range []KVType{KVF32, KVBF16, KVQ8_0} {
		p := layer(random, quant.F32)
		p.kv = kv
		program := p.program()
		l := p.limits()
		l.Blocks += 2
		r, err := NewRunner(program, Reference, l)
		if err != nil {
			t.Fatal(err)
		}
		whole := wholeBatch(p.seqs)
		if err := r.Run(&whole); err != nil {
			t.Fatal(err)
		}
		data, rows, width := r.Output()
		want := slices.Clone(data[(rows-1)*width:])
		// The last row again, its sequence's blocks copied to free ones.
		last := part(p.seqs, func(s int) (int, int) { return (p.seqs[1] - 1) * s, p.seqs[1] * s })
		for i, block := range last.Tables {
			last.Tables[i] = int32(l.Blocks - 1 - i)
			r.CopyBlock(int(block), l.Blocks-1-i)
			clear(r.step.raw(int32(slices.IndexFunc(program.Operands, func(o Operand) bool { return o.Kind == KeyCache })), int(block)))
		}
		last.Slots[0] = last.Tables[1]*BlockTokens + last.Slots[0]%BlockTokens
		if err := r.Run(&last); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := r.Output(); !slices.EqualFunc(got, want, sameBits) {
			t.Errorf("%v: the copied blocks give another result", kv)
		}
		r.Close()
		program.Close()
	}
}

func TestTablesOfBlocksGrow(t *testing.T) {
	p := attentionProbe(rand.New(rand.NewPCG(47, 48)), KVF32, []int{20, 1})
	for _, table := range Tables() {
		program := p.program()
		r, err := NewRunner(program, table, Limits{Tokens: 21, LogitRows: 21, Seqs: 2, Blocks: 3})
		if err != nil {
			t.Fatal(err)
		}
		// Both sequences name the three blocks over and over; entries beyond their keys
		// are not read.
		b := wholeBatch(p.seqs)
		want, _ := runSteps(t, p, Reference, []Batch{wholeBatch(p.seqs)})
		first, second := b.Tables[:2:2], b.Tables[2:]
		b.Tables = slices.Concat(first, slices.Repeat([]int32{0}, 50), second)
		b.TableStart = []int32{0, 52, 53}
		if err := r.Run(&b); err != nil {
			t.Fatal(err)
		}
		got, _, _ := r.Output()
		if err := differ(got, want, p.within); err != nil {
			t.Errorf("%s: %v", table.Name, err)
		}
		r.Close()
		program.Close()
	}
}

func TestRunRefusesWhatIsOutOfBounds(t *testing.T) {
	p := layer(rand.New(rand.NewPCG(49, 50)), quant.F32)
	program := p.program()
	defer program.Close()
	if _, err := NewRunner(program, Reference, Limits{}); err == nil {
		t.Error("limits of no tokens are taken")
	}
	r, err := NewRunner(program, Reference, p.limits())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := wholeBatch(p.seqs)
	b.Tokens[5] = 40
	if err := r.Run(&b); err == nil || !strings.Contains(err.Error(), "Tokens[5] is 40, want 0 to 39") {
		t.Errorf("error %v", err)
	}
}

func TestGraphIsOneLineAnInstruction(t *testing.T) {
	p := layer(rand.New(rand.NewPCG(51, 52)), quant.Q8_0).program()
	defer p.Close()
	lines := strings.Split(strings.TrimRight(p.String(), "\n"), "\n")
	if len(lines) != len(p.Instrs) {
		t.Errorf("%d lines for %d instructions", len(lines), len(p.Instrs))
	}
	for i, want := range map[int]string{
		0:              "0 %1 [T, 64] embed random F32 [40, 64]",
		3:              "3 %6 [T, 64] packed bf16 pack %4",
		len(lines) - 1: "24 %35 [R, 96] linear %34, head Q8_0 [96, 64]",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d is %q, want %q", i, got, want)
		}
	}
}

func TestCostsOfALayer(t *testing.T) {
	p := layer(rand.New(rand.NewPCG(53, 54)), quant.F32).program()
	defer p.Close()
	const weights = 64 * (64 + 32 + 32 + 64 + 64 + 64 + 64 + 96)      // elements of the products
	if got, want := p.Bytes(), int64(4*(weights+64+4)); got != want { // and a row of embeddings, and the frequencies
		t.Errorf("a step reads %d bytes of weights, want %d", got, want)
	}
	// 3 tokens over 10 keys, 2 rows of logits: 2 FLOPs a weight and row, 2*2*4*16 a key and row.
	want := int64(2*64*(3*(64+32+32+64+64+64+64)+2*96) + 3*10*2*4*(16+16))
	if got := p.FLOPs(3, 2, 10); got != want {
		t.Errorf("a step takes %d FLOPs, want %d", got, want)
	}
}
