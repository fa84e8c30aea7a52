package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

// The conformance test holds every table to the reference over random shapes: results
// within each operation's tolerance, caches bit for bit; and each table to itself, bit
// for bit: rows alone, in chunks and all at once, with one thread and with two.

// cases returns the probes of one round. Every round has other shapes.
func cases(random *rand.Rand) []*probe {
	return slices.Concat(embedProbes(random), normProbes(random), productProbes(random), ropeProbes(random),
		attentionProbes(random), elementProbes(random), expertProbes(random), poolProbes(random))
}

func TestConformance(t *testing.T) {
	one, two := Open(1, Options{}), Open(2, Options{})
	defer one.Close()
	defer two.Close()
	if os.Getenv("INGOT_KERNELS") != "" && one.Err() != nil {
		t.Fatal(one.Err())
	}
	threads := map[string]*Table{}
	for _, table := range two.Tables() {
		threads[table.Name] = table
	}
	have := one.Tables()
	for _, name := range append([]string{"reference"}, tableNames[:]...) {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(have, func(table *Table) bool { return table.Name == name })
			if i < 0 && one.Err() != nil {
				t.Skipf("no native tables: %v", one.Err())
			}
			if i < 0 {
				t.Skipf("this processor cannot run it (it has %v)", one.Features())
			}
			random := rand.New(rand.NewPCG(13, 14))
			for range rounds(t) {
				for _, p := range cases(random) {
					conform(t, p, have[i], threads[name], random)
				}
			}
		})
	}
}

// rounds is how many sets of shapes the test tries: INGOT_ROUNDS asks for more.
func rounds(t *testing.T) int {
	n := 2
	if s := os.Getenv("INGOT_ROUNDS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatalf("INGOT_ROUNDS=%q: %v", s, err)
		}
	}
	return n
}

// conform checks one probe on one table, opened with one thread and with two.
func conform(t *testing.T, p *probe, table, threaded *Table, random *rand.Rand) {
	t.Helper()
	got, caches := runSteps(t, p, table, []Batch{wholeBatch(p.seqs)})
	if table != Reference {
		want, wantCaches := runSteps(t, p, Reference, []Batch{wholeBatch(p.seqs)})
		if err := differ(got, want, p.within); err != nil {
			t.Errorf("%s: %v", p.name, err)
			return
		}
		if !slices.Equal(caches, wantCaches) {
			t.Errorf("%s: the caches are not those of the reference", p.name)
		}
		again, _ := runSteps(t, p, threaded, []Batch{wholeBatch(p.seqs)})
		same(t, p, "two threads", again, got)
	}
	if table != Reference {
		repacked, _ := runProgram(t, p, repackedProgram(t, p, table), table, []Batch{wholeBatch(p.seqs)})
		same(t, p, "repacked weights", repacked, got)
	}
	if !inPieces(p) {
		return
	}
	chunk := 1 + random.IntN(20)
	chunked, _ := runSteps(t, p, table, chunks(p.seqs, chunk))
	same(t, p, fmt.Sprintf("chunks of %d", chunk), chunked, got)
	alone, _ := runSteps(t, p, table, singles(p.seqs))
	same(t, p, "rows alone", alone, got)
}

// inPieces reports whether a sequence may come in several batches: not where every row
// sees the whole of it.
func inPieces(p *probe) bool {
	program := p.program()
	defer program.Close()
	return !slices.ContainsFunc(program.Instrs, func(in Instr) bool {
		return in.Op == opPool.code || in.Op == opAttention.code && in.I[5] == 0
	})
}

func same(t *testing.T, p *probe, how string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !sameBits(got[i], want[i]) {
			t.Errorf("%s: with %s element %d of %d is %g, else %g", p.name, how, i, len(want), got[i], want[i])
			return
		}
	}
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

// runSteps runs batches that together bring every row, and returns the result by row
// of the input (by sequence for a pooled one) and the caches.
func runSteps(t *testing.T, p *probe, table *Table, steps []Batch) (out []float32, caches []byte) {
	t.Helper()
	return runProgram(t, p, p.program(), table, steps)
}

func repackedProgram(t *testing.T, p *probe, table *Table) *Program {
	t.Helper()
	program := p.program()
	if err := table.lib.Repack(program, table); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return program
}

// runProgram is runSteps of a program, which it closes.
func runProgram(t *testing.T, p *probe, program *Program, table *Table, steps []Batch) (out []float32, caches []byte) {
	t.Helper()
	defer program.Close()
	r, err := NewRunner(program, table, p.limits())
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	defer r.Close()
	for i := range steps {
		b := &steps[i]
		if err := r.Run(b); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		data, rows, width := r.Output()
		o := &program.Operands[program.Output]
		if out == nil {
			out = make([]float32, p.limits().units(o.Per)*o.Rows*width)
		}
		for row := range rows {
			copy(out[rowOfInput(b, o, row)*width:], data[row*width:][:width])
		}
	}
	for v := range program.Operands {
		if k := program.Operands[v].Kind; k == KeyCache || k == ValueCache {
			caches = append(caches, r.step.memory[v]...)
		}
	}
	return out, caches
}

// rowOfInput returns where row of the output belongs: token t of a probe's batch has
// the id of its row.
func rowOfInput(b *Batch, o *Operand, row int) int {
	unit := row / o.Rows
	switch o.Per {
	case PerToken:
		unit = int(b.Tokens[unit])
	case PerLogit:
		unit = int(b.Tokens[b.LogitRows[unit]])
	}
	return unit*o.Rows + row%o.Rows
}

// chunks cuts the whole batch into steps that bring up to n tokens of every sequence.
func chunks(seqs []int, n int) []Batch {
	var steps []Batch
	for from := 0; from < slices.Max(seqs); from += n {
		steps = append(steps, part(seqs, func(s int) (int, int) { return min(from, seqs[s]), min(from+n, seqs[s]) }))
	}
	return steps
}

// singles brings one token a step, the sequences in turn.
func singles(seqs []int) []Batch {
	var steps []Batch
	for p := range slices.Max(seqs) {
		for i, n := range seqs {
			if p < n {
				steps = append(steps, part(seqs, func(s int) (int, int) {
					if s == i {
						return p, p + 1
					}
					return 0, 0
				}))
			}
		}
	}
	return steps
}

// part is the whole batch's rows from ... to-1 of each sequence, without the sequences
// that have none.
func part(seqs []int, rows func(s int) (from, to int)) Batch {
	whole := wholeBatch(seqs)
	b := Batch{RowStart: []int32{0}, TableStart: []int32{0}}
	for s := range seqs {
		from, to := rows(s)
		if from == to {
			continue
		}
		for t := int(whole.RowStart[s]) + from; t < int(whole.RowStart[s])+to; t++ {
			b.LogitRows = append(b.LogitRows, int32(len(b.Tokens)))
			b.Tokens = append(b.Tokens, whole.Tokens[t])
			b.Positions = append(b.Positions, whole.Positions[t])
			b.Slots = append(b.Slots, whole.Slots[t])
		}
		b.Tables = append(b.Tables, whole.Tables[whole.TableStart[s]:whole.TableStart[s+1]]...)
		b.SeqLen = append(b.SeqLen, int32(to))
		b.RowStart = append(b.RowStart, int32(len(b.Tokens)))
		b.TableStart = append(b.TableStart, int32(len(b.Tables)))
	}
	return b
}

// newProbe returns a probe over rows of cols random numbers in one to three sequences of
// up to 40 rows in all.
func newProbe(random *rand.Rand, cols int, name string, args ...any) *probe {
	p := &probe{name: fmt.Sprintf(name, args...)}
	total := 0
	for range 1 + random.IntN(3) {
		n := 1 + random.IntN(13)
		if random.IntN(3) == 0 {
			n = 1
		}
		p.seqs, total = append(p.seqs, n), total+n
	}
	p.input = randomF32(random, total, cols)
	return p
}

func oneOf[T any](random *rand.Rand, values ...T) T { return values[random.IntN(len(values))] }

// floatFields are where blocks of a type hold f16 numbers.
var floatFields = map[quant.DType][]int{
	quant.Q4_1: {0, 2}, quant.Q5_1: {0, 2}, quant.Q2_K: {80, 82}, quant.Q3_K: {108}, quant.Q4_K: {0, 2}, quant.Q5_K: {0, 2},
	quant.Q6_K: {208}, quant.TQ1_0: {52}, quant.TQ2_0: {64}, quant.IQ1_M: {}, quant.MXFP4: {},
}

// anyWeight is randomWeight for every type of weight.
func anyWeight(random *rand.Rand, d quant.DType, shape ...int) Tensor {
	w := randomWeight(random, d, shape...)
	fields, ok := floatFields[d]
	for at := 0; ok && at < len(w.Data); at += d.BlockBytes() {
		block := w.Data[at:][:d.BlockBytes()]
		block[0], block[1] = byte(random.Uint32()), byte(random.Uint32())
		for _, f := range fields {
			binary.LittleEndian.PutUint16(block[f:], quant.F32ToF16(float32(0.01*(1+random.Float64()))))
		}
		switch d {
		case quant.MXFP4:
			block[0] = byte(118 + random.IntN(6)) // 2^(e-127)
		case quant.IQ1_M: // the scale's four nibbles are the top ones of four words
			scale := quant.F32ToF16(float32(0.01 * (1 + random.Float64())))
			for i := range 4 {
				high := &block[48+2*i+1]
				*high = *high&0x0f | byte(scale>>(4*i)&0xf)<<4
			}
		}
	}
	return w
}

func embedProbes(random *rand.Rand) []*probe {
	var probes []*probe
	for _, d := range nativeTypes {
		cols := d.BlockElems() * (1 + random.IntN(3))
		p := newProbe(random, 1, "embed %v [64, %d]", d, cols)
		w, scale := anyWeight(random, d, 64, cols), oneOf[float32](random, 1, 7.3)
		p.build = func(b *Builder, _ Value) Value { return b.Embed(w, scale) }
		probes = append(probes, p)
	}
	w := randomF32(random, 64, 7)
	positions := newProbe(random, 1, "embed positions")
	positions.build = func(b *Builder, _ Value) Value { return b.EmbedPositions(w) }
	first := newProbe(random, 1, "embed row 0")
	first.build = func(b *Builder, _ Value) Value { return b.EmbedRow0(w) }
	rows := newProbe(random, 19, "rows")
	rows.build = func(b *Builder, x Value) Value { return b.Rows(x) }
	return append(probes, positions, first, rows)
}

func normProbes(random *rand.Rand) []*probe {
	var probes []*probe
	for _, group := range []int{1 + random.IntN(100), 64, 128, 1000 + random.IntN(100)} {
		groups := 1 + random.IntN(3)
		p := newProbe(random, group*groups, "rmsnorm of %d groups of %d", groups, group)
		w := oneOf(random, Tensor{}, randomF32(random, group))
		p.within = sumTolerance(group)
		p.build = func(b *Builder, x Value) Value { return b.RMSNorm(x, w, group, 1e-5) }

		q := newProbe(random, group, "layernorm of %d", group)
		scale, bias := randomF32(random, group), oneOf(random, Tensor{}, randomF32(random, group))
		q.within = 4 * sumTolerance(group) // two sums, and the difference from the mean
		q.build = func(b *Builder, x Value) Value { return b.LayerNorm(x, scale, bias, 1e-5) }
		probes = append(probes, p, q)
	}
	return probes
}

func productProbes(random *rand.Rand) []*probe {
	var probes []*probe
	for _, d := range nativeTypes {
		for _, act := range []Activations{ActBF16, ActInt8} {
			k, outs := innerSize(random, d), 1+random.IntN(70)
			p := newProbe(random, k, "product of %v [%d, %d] with %v", d, outs, k, act)
			w, bias := anyWeight(random, d, outs, k), oneOf(random, Tensor{}, randomF32(random, outs))
			p.act, p.within = act, productTolerance(d, act, k)
			p.build = func(b *Builder, x Value) Value { return b.Linear(x, w, bias) }
			probes = append(probes, p)
		}
	}
	w := anyWeight(random, quant.BF16, 33, 40)
	p := newProbe(random, 64, "product with a view")
	p.within = productTolerance(quant.BF16, ActBF16, 40)
	p.build = func(b *Builder, x Value) Value { return b.Linear(b.View(x, 9, 40), w, Tensor{}) }
	return append(probes, p)
}

// innerSize is any size for plain types, else some blocks.
func innerSize(random *rand.Rand, d quant.DType) int {
	if d.BlockElems() == 1 {
		return 1 + random.IntN(300)
	}
	return d.BlockElems() * (1 + random.IntN(max(2, 512/d.BlockElems())))
}

// productTolerance is 0 in int8 mode, whose bits are fixed.
func productTolerance(d quant.DType, act Activations, k int) float64 {
	if act == ActInt8 && quant.HasIntForm(d) {
		return 0
	}
	return sumTolerance(k)
}

func ropeProbes(random *rand.Rand) []*probe {
	var probes []*probe
	for _, layout := range []Layout{RopeHalf, RopeInterleaved} {
		heads, pairs := 1+random.IntN(4), 1+random.IntN(40)
		dim := 2*pairs + oneOf(random, 0, 0, 5)
		p := newProbe(random, heads*dim, "rope %d of %d heads of %d, layout %d", 2*pairs, heads, dim, layout)
		inv := make([]float32, pairs)
		for i := range inv {
			inv[i] = float32(math.Pow(10000, -float64(i)/float64(pairs)))
		}
		p.within = 8 * 0x1p-24 // the table: see ROPE_TABLE
		p.build = func(b *Builder, x Value) Value { return b.RoPE(x, b.RopeTable(inv, 1.1), heads, dim, layout) }
		probes = append(probes, p)
	}
	return probes
}

func attentionProbes(random *rand.Rand) []*probe {
	var probes []*probe
	for _, kv := range []KVType{KVBF16, KVF32, KVQ8_0} {
		for range 4 {
			probes = append(probes, randomAttention(random, kv))
		}
	}
	return probes
}

func randomAttention(random *rand.Rand, kv KVType) *probe {
	kvHeads, k, v := 1+random.IntN(3), 1+random.IntN(80), 1+random.IntN(80)
	if random.IntN(2) == 0 {
		k, v = 64, 64
	}
	a := AttentionArgs{
		Heads: kvHeads * (1 + random.IntN(8)), KVHeads: kvHeads, KDim: k, VDim: v,
		Window: oneOf(random, 0, 0, 1, 7, 16, 19), Softcap: oneOf[float32](random, 0, 5),
		Scale: float32(1 / math.Sqrt(float64(k))), Bidirectional: random.IntN(4) == 0,
	}
	if random.IntN(3) == 0 {
		a.Sinks = randomF32(random, a.Heads)
	}
	p := newProbe(random, a.Heads*k+kvHeads*(k+v), "attention over %v %+v", kv, a)
	p.seqs = []int{1 + random.IntN(70), 1 + random.IntN(20)}
	p.input = randomF32(random, p.seqs[0]+p.seqs[1], a.Heads*k+kvHeads*(k+v))
	p.kv = kv
	// A score is off by the tolerance of its sum, times its size; the weights of the
	// values are off by as much, and by exp's own error.
	p.within = 4*sumTolerance(k) + 16*functionTolerance
	p.build = func(b *Builder, x Value) Value {
		q, key := b.View(x, 0, a.Heads*k), b.View(x, a.Heads*k, kvHeads*k)
		return b.Attention(0, q, key, b.View(x, a.Heads*k+kvHeads*k, kvHeads*v), a)
	}
	return p
}

func elementProbes(random *rand.Rand) []*probe {
	cols := 2 * (1 + random.IntN(150))
	var probes []*probe
	add := func(within float64, build func(b *Builder, x Value) Value, name string, args ...any) {
		p := newProbe(random, cols, name, args...)
		p.within, p.build = within, build
		probes = append(probes, p)
	}
	halves := func(b *Builder, x Value) (Value, Value) { return b.View(x, 0, cols/2), b.View(x, cols/2, cols/2) }
	add(0, func(b *Builder, x Value) Value { return b.Add(b.Scale(x, 0.3), x, -0.7) }, "scale and add of %d", cols)
	add(0, func(b *Builder, x Value) Value { l, r := halves(b, x); return b.Add(l, r, 1) }, "add of two views of %d", cols)
	add(functionTolerance, func(b *Builder, x Value) Value { return b.Softcap(x, 1.5) }, "softcap of %d", cols)
	for _, kind := range []Act{SiLU, GELUTanh, GELUErf, ReLU, Tanh} {
		add(4*functionTolerance, func(b *Builder, x Value) Value { return b.Act(b.Scale(x, 3), kind) }, "act %d of %d", kind, cols)
		add(4*functionTolerance, func(b *Builder, x Value) Value {
			l, r := halves(b, x)
			return b.GLU(kind, l, r, 0, 0)
		}, "glu %d of %d", kind, cols)
	}
	add(4*functionTolerance, func(b *Builder, x Value) Value {
		l, r := halves(b, b.Scale(x, 6))
		return b.GLU(SwiGLUClamped, l, r, 1.702, 7)
	}, "clamped glu of %d", cols)
	return probes
}

func expertProbes(random *rand.Rand) []*probe {
	var probes []*probe
	for _, d := range []quant.DType{quant.F32, quant.F16, quant.BF16, quant.Q8_0, quant.Q4_0, quant.Q4_K, quant.Q6_K, quant.MXFP4} {
		for _, act := range []Activations{ActBF16, ActInt8} {
			probes = append(probes, tokenExperts(random, d, act), slotExperts(random, d, act))
		}
	}
	experts := 2 + random.IntN(60)
	k := 1 + random.IntN(min(experts, 8))
	renormalise := random.IntN(2) == 0
	ids := newProbe(random, experts, "%d of %d experts", k, experts)
	ids.build = func(b *Builder, x Value) Value { ids, _ := b.Route(x, k, renormalise, 2.5); return ids }
	weights := newProbe(random, experts, "weights of %d of %d experts", k, experts)
	weights.within = 8 * functionTolerance
	weights.build = func(b *Builder, x Value) Value { _, w := b.Route(x, k, renormalise, 2.5); return w }
	return append(probes, ids, weights)
}

// routeTolerance is for the weights of experts, which exp and two divisions make.
const routeTolerance = 8 * functionTolerance

// tokenExperts multiplies each token with the weights of its experts.
func tokenExperts(random *rand.Rand, d quant.DType, act Activations) *probe {
	inner, outs, experts, k := innerSize(random, d), oneOf(random, 16, 32, 1+random.IntN(40)), 3+random.IntN(4), 1+random.IntN(3)
	p := newProbe(random, inner+experts, "experts of %v [%d, %d, %d] with %v, %d a token", d, experts, outs, inner, act, k)
	w, bias := anyWeight(random, d, experts, outs, inner), oneOf(random, Tensor{}, randomF32(random, experts, outs))
	p.act, p.within = act, productTolerance(d, act, inner)+routeTolerance
	p.build = func(b *Builder, x Value) Value {
		ids, weights := b.Route(b.View(x, inner, experts), k, true, 1)
		return b.Combine(b.ExpertLinear(b.View(x, 0, inner), ids, w, bias), weights)
	}
	return p
}

// slotExperts multiplies each slot, of a token and an expert, with the expert's weight.
// What a slot holds comes from a first product that only picks columns, so that no
// rounding differs there.
func slotExperts(random *rand.Rand, d quant.DType, act Activations) *probe {
	inner, outs, experts, k := innerSize(random, d), oneOf(random, 16, 48, 1+random.IntN(40)), 3+random.IntN(4), 2+random.IntN(2)
	p := newProbe(random, 50+experts, "experts of %v [%d, %d, %d] with %v, %d slots", d, experts, outs, inner, act, k)
	pick, w := randomF32(random, experts, inner, 50), anyWeight(random, d, experts, outs, inner)
	clear(pick.Data)
	for row := range pick.Rows() {
		binary.LittleEndian.PutUint32(pick.Data[4*(50*row+random.IntN(50)):], math.Float32bits(1))
	}
	p.act, p.within = act, productTolerance(d, act, inner)+routeTolerance
	p.build = func(b *Builder, x Value) Value {
		ids, weights := b.Route(b.View(x, 50, experts), k, true, 1)
		slots := b.ExpertLinear(b.View(x, 0, 50), ids, pick, Tensor{})
		return b.Combine(b.ExpertLinear(slots, ids, w, Tensor{}), weights)
	}
	return p
}

func poolProbes(random *rand.Rand) []*probe {
	var probes []*probe
	for _, kind := range []PoolKind{PoolMean, PoolFirst, PoolLast} {
		p := newProbe(random, 1+random.IntN(90), "pool %d", kind)
		p.build = func(b *Builder, x Value) Value { return b.Pool(x, kind) }
		probes = append(probes, p)
	}
	return probes
}
