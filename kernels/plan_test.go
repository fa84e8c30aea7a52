package kernels

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

// randomProgram makes a program of n random operations over rows of 32 columns.
func randomProgram(random *rand.Rand, n int) *Program {
	b := NewBuilder(Activations(random.IntN(2)), KVF32)
	w := map[bool]Tensor{false: randomWeight(random, quant.Q8_0, 32, 32), true: randomF32(random, 32, 32)}
	values := []Value{b.Embed(randomF32(random, 64, 32), 1)}
	for range n {
		x, y := values[random.IntN(len(values))], values[max(0, len(values)-1-random.IntN(3))]
		values = append(values, randomOperation(random, b, w[random.IntN(2) == 0], x, y))
	}
	b.Output(b.Rows(b.Add(values[len(values)-1], values[random.IntN(len(values))], 1)))
	for range random.IntN(4) { // what comes after the output must leave it alone
		randomOperation(random, b, w[true], values[0], values[len(values)-1])
	}
	return b.Program()
}

func randomOperation(random *rand.Rand, b *Builder, w Tensor, x, y Value) Value {
	switch random.IntN(8) {
	case 0:
		return b.Scale(y, 0.5)
	case 1:
		return b.Act(x, Tanh)
	case 2:
		return b.GLU(SiLU, x, y, 0, 0)
	case 3:
		return b.RMSNorm(x, Tensor{}, 8, 1e-5)
	case 4:
		wide := b.Linear(y, doubled(w), Tensor{})
		return b.Add(b.View(wide, 0, 32), b.View(wide, 32, 32), 1)
	case 5:
		ids, weights := b.Route(x, 2, true, 1)
		experts := Tensor{Name: "experts", DType: w.DType, Shape: []int{32, 1, 32}, Data: w.Data}
		return b.Add(y, b.Linear(b.Combine(b.ExpertLinear(y, ids, experts, Tensor{}), weights), column(w), Tensor{}), 1)
	case 6:
		return b.Attention(len(b.p.Layers), x, y, y, AttentionArgs{Heads: 4, KVHeads: 4, KDim: 8, VDim: 8, Scale: 1})
	}
	return b.Add(x, y, -0.5)
}

// doubled is w [32, 32] over itself: [64, 32].
func doubled(w Tensor) Tensor {
	return Tensor{Name: "doubled", DType: w.DType, Shape: []int{64, 32}, Data: slices.Concat(w.Data, w.Data)}
}

// column is the first column of an F32 weight [32, 1], of w's bytes where it is F32.
func column(w Tensor) Tensor {
	data := make([]byte, 32*4)
	if w.DType == quant.F32 {
		copy(data, w.Data)
	}
	return Tensor{Name: "column", DType: quant.F32, Shape: []int{32, 1}, Data: data}
}

// span is what an operand occupies, and from which instruction to which.
type span struct {
	v                       Value
	from, to, first, last   int
	firstWriter, lastReader *Instr
}

// spans works out from the instructions alone where and when each activation lives.
func spans(p *Program, plan *Plan, l Limits, t *Table) []span {
	var out []span
	for v := range p.Operands {
		if p.Operands[v].Kind != Activation {
			continue
		}
		s := span{v: Value(v), first: -1, from: plan.Offsets[v]}
		s.to = s.from + p.size(Value(v), l, t)
		for i := range p.Instrs {
			in := &p.Instrs[i]
			if s.first < 0 && slices.Contains(in.Out[:], int32(v)) {
				s.first, s.last, s.firstWriter = i, i, in
			}
			for _, x := range in.In {
				if x >= 0 && (x == int32(v) || p.Operands[x].Kind == View && p.Operands[x].Base == Value(v)) {
					s.last, s.lastReader = i, in
				}
			}
		}
		if p.Output == Value(v) {
			s.last = len(p.Instrs)
		}
		out = append(out, s)
	}
	return out
}

// mayShare reports whether b may begin in a's place: b is written, elementwise, by the
// last instruction that reads a.
func mayShare(a, b *span) bool {
	in := b.firstWriter
	return a.last == b.first && in == a.lastReader && ops[in.Op].inPlace && in.In[0] == int32(a.v) &&
		a.from == b.from && a.to == b.to
}

func TestPlanKeepsLiveBuffersApart(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	var shared, reused int
	for range 200 {
		p := randomProgram(random, 1+random.IntN(40))
		l := Limits{Tokens: 1 + random.IntN(70), LogitRows: 1 + random.IntN(9), Seqs: 1 + random.IntN(4), Blocks: random.IntN(50)}
		plan := p.Plan(l, Reference)
		all := spans(p, plan, l, Reference)
		total := 0
		for i := range all {
			a := &all[i]
			total += a.to - a.from
			if a.from%64 != 0 || a.to > plan.ArenaBytes {
				t.Fatalf("%%%d lies at %d to %d of an arena of %d bytes", a.v, a.from, a.to, plan.ArenaBytes)
			}
			for j := range all {
				b := &all[j]
				if i == j || a.first > b.first || a.last < b.first || a.to <= b.from || b.to <= a.from {
					continue
				}
				if !mayShare(a, b) {
					t.Fatalf("%%%d (%d to %d) and %%%d (%d to %d) overlap while both live:\n%v",
						a.v, a.first, a.last, b.v, b.first, b.last, p)
				}
				shared++
			}
		}
		if total > 2*plan.ArenaBytes {
			reused++
		}
		p.Close()
	}
	if shared == 0 || reused == 0 {
		t.Errorf("%d results in place, %d arenas with reuse: the test proves nothing", shared, reused)
	}
}

// A program must give the same bits whether buffers share memory or not.
func TestPlanDoesNotChangeResults(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	for range 40 {
		p := randomProgram(random, 1+random.IntN(30))
		seqs := []int{1 + random.IntN(20), 1 + random.IntN(20)}
		l := Limits{Tokens: 40, LogitRows: 40, Seqs: 2, Blocks: 6}
		batch := wholeBatch(seqs)
		for _, table := range Tables() {
			want := runPlanned(t, p, table, apart(p, l, table), l, &batch)
			if got := runPlanned(t, p, table, p.Plan(l, table), l, &batch); !slices.EqualFunc(got, want, sameBits) {
				t.Fatalf("%s: the plan changes the result of\n%v", table.Name, p)
			}
		}
		p.Close()
	}
}

// apart is a plan in which every buffer has its own place.
func apart(p *Program, l Limits, table *Table) *Plan {
	plan := p.Plan(l, table)
	plan.ArenaBytes = 0
	for v := range p.Operands {
		switch o := &p.Operands[v]; o.Kind {
		case Activation:
			plan.Offsets[v] = plan.ArenaBytes
			plan.ArenaBytes += align(p.size(Value(v), l, table))
		case View:
			plan.Offsets[v] = plan.Offsets[o.Base] + 4*o.From
		}
	}
	return plan
}

func runPlanned(t *testing.T, p *Program, table *Table, plan *Plan, l Limits, batch *Batch) []float32 {
	r, err := newRunner(p, table, l, plan)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Run(batch); err != nil {
		t.Fatal(err)
	}
	out, _, _ := r.Output()
	return slices.Clone(out)
}

func TestCacheBytesAreKnownBeforehand(t *testing.T) {
	for _, c := range []struct {
		l    KVLayout
		want int
	}{
		{KVLayout{2, 64, 32, KVBF16}, 2 * 16 * (64 + 32) * 2},
		{KVLayout{2, 64, 32, KVF32}, 2 * 16 * (64 + 32) * 4},
		{KVLayout{2, 64, 40, KVQ8_0}, 2 * 16 * (64 + 40 + 2*2 + 2*2)},
	} {
		if got := c.l.BlockBytes(); got != c.want {
			t.Errorf("%+v takes %d bytes a block, want %d", c.l, got, c.want)
		}
	}
}

// TestTrainingCaches: layers of a program that trains share one cache's memory, unless
// attention comes a second time and reads what its layer's cache held.
func TestTrainingCaches(t *testing.T) {
	for recompute, layers := range map[Recompute]int{RecomputeNone: 1, RecomputeLight: 1, RecomputeBlock: 2} {
		random := rand.New(rand.NewPCG(5, 6))
		table := randomF32(random, 64, 32)
		grad := make([]float32, table.Elems())
		b := NewBuilder(ActBF16, KVF32)
		b.Train(Training{LogitRows: 8, Gradient: func(Tensor) []float32 { return grad }, Recompute: recompute})
		x := b.Embed(table, 1)
		for layer := range 2 {
			b.Layer()
			x = b.Attention(layer, x, x, x, AttentionArgs{Heads: 4, KVHeads: 4, KDim: 8, VDim: 8, Scale: 1})
		}
		b.Output(b.Loss(b.Rows(x), func(h Value) Value { return b.Linear(h, table, Tensor{}) }))
		p := b.Program()
		if got, want := p.Plan(Limits{Tokens: 8, LogitRows: 8, Seqs: 8, Blocks: 8}, Reference).CacheBytes, layers*8*p.BlockBytes()/2; got != want {
			t.Errorf("recomputing %v, the caches take %d bytes, want %d", recompute, got, want)
		}
	}
}
