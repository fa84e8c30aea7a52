package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

// trainee is a small model that a test trains: each uses some operations.
type trainee struct {
	name    string
	weights []Tensor // trainable
	kv      KVType
	scale   int // of the tolerance: how much the model magnifies roundings
	build   func(b *Builder, w []Tensor) Value
}

const (
	traineeVocab = 29
	traineeWidth = 24
)

// weight adds a trainable tensor of dtype d.
func (m *trainee) weight(random *rand.Rand, d quant.DType, shape ...int) int {
	w := randomF32(random, shape...)
	values := view[float32](w.Data, w.Elems())
	for i := range values {
		values[i] *= 0.5
	}
	if d != quant.F32 {
		data := make([]byte, w.Rows()*d.RowBytes(w.Cols()))
		for r := range w.Rows() {
			if err := quant.Quantize(d, data[r*d.RowBytes(w.Cols()):][:d.RowBytes(w.Cols())], values[r*w.Cols():][:w.Cols()], nil); err != nil {
				panic(err)
			}
		}
		w.DType, w.Data = d, data
	}
	w.Name = fmt.Sprintf("w%d", len(m.weights))
	m.weights = append(m.weights, w)
	return len(m.weights) - 1
}

// newTrainee makes a model of which body turns x [T, traineeWidth] into as much.
func newTrainee(random *rand.Rand, d quant.DType, name string, body func(m *trainee) func(b *Builder, x Value) Value) *trainee {
	m := &trainee{name: name, scale: 1, kv: KVF32}
	if d == quant.BF16 {
		m.kv = KVBF16
	}
	table := m.weight(random, d, traineeVocab, traineeWidth)
	norm, head := m.weight(random, quant.F32, traineeWidth), m.weight(random, d, traineeVocab, traineeWidth)
	f := body(m)
	m.build = func(b *Builder, w []Tensor) Value {
		x := b.Embed(w[table], 1.3)
		b.Layer()
		x = b.Add(x, f(b, x), 0.8)
		h := b.RMSNorm(b.Rows(x), w[norm], 0, 1e-5)
		return b.Loss(h, func(h Value) Value { return b.Softcap(b.Scale(b.Linear(h, w[head], Tensor{}), 0.7), 4) })
	}
	return m
}

// trainees returns models that together use every operation with a gradient.
func trainees(random *rand.Rand, d quant.DType) []*trainee {
	const wide = traineeWidth
	var all []*trainee
	add := func(name string, body func(m *trainee) func(b *Builder, x Value) Value) {
		all = append(all, newTrainee(random, d, name, body))
	}
	for _, kind := range []Act{SiLU, GELUTanh, GELUErf, ReLU, Tanh} {
		add(fmt.Sprintf("feed-forward of %d", kind), func(m *trainee) func(b *Builder, x Value) Value {
			up, bias, down := m.weight(random, d, 40, wide), m.weight(random, quant.F32, 40), m.weight(random, d, wide, 40)
			scale, shift := m.weight(random, quant.F32, wide), m.weight(random, quant.F32, wide)
			return func(b *Builder, x Value) Value {
				h := b.Linear(b.LayerNorm(x, m.weights[scale], m.weights[shift], 1e-5), m.weights[up], m.weights[bias])
				return b.Linear(b.Act(h, kind), m.weights[down], Tensor{})
			}
		})
	}
	for _, kind := range []Act{SiLU, GELUTanh, SwiGLUClamped} {
		add(fmt.Sprintf("gated by %d, views", kind), func(m *trainee) func(b *Builder, x Value) Value {
			both, down := m.weight(random, d, 70, wide), m.weight(random, d, wide, 35)
			return func(b *Builder, x Value) Value {
				h := b.Linear(x, m.weights[both], Tensor{})
				return b.Linear(b.GLU(kind, b.View(h, 0, 35), b.View(h, 35, 35), 1.702, 2), m.weights[down], Tensor{})
			}
		})
	}
	for i, a := range []AttentionArgs{
		{Heads: 4, KVHeads: 2, KDim: 10, VDim: 6},
		{Heads: 3, KVHeads: 1, KDim: 16, VDim: 16, Window: 5, Softcap: 2},
		{Heads: 2, KVHeads: 2, KDim: 33, VDim: 18, Sinks: Tensor{Name: "wanted"}},
		{Heads: 2, KVHeads: 1, KDim: 8, VDim: 70, Bidirectional: true},
	} {
		add(fmt.Sprintf("attention %d", i), attentionBody(random, d, a, Layout(i%2)))
	}
	for _, renormalise := range []bool{true, false} {
		add(fmt.Sprintf("experts, renormalised %v", renormalise), expertBody(random, d, renormalise))
	}
	add("an adapter with magnitudes", magnitudeBody(random, d, randomF32(random, 1, 40)))
	return all
}

// magnitudeBody has a weight with an adapter and magnitudes. Without norms, which the
// gradient takes for constants, they are those of the weight and change with the adapter.
func magnitudeBody(random *rand.Rand, d quant.DType, norms Tensor) func(m *trainee) func(b *Builder, x Value) Value {
	return func(m *trainee) func(b *Builder, x Value) Value {
		up, bias, down := m.weight(random, d, 40, traineeWidth), m.weight(random, quant.F32, 40), m.weight(random, d, traineeWidth, 40)
		low, high, magnitude := m.weight(random, d, RankMultiple, traineeWidth), m.weight(random, d, 40, RankMultiple), m.weight(random, quant.F32, 40)
		return func(b *Builder, x Value) Value {
			stacked := func(i int) Tensor {
				w := m.weights[i]
				w.Shape = append([]int{1}, w.Shape...)
				return w
			}
			b.Adapt(func(w Tensor) LowRank {
				if w.Name != m.weights[up].Name {
					return LowRank{}
				}
				return LowRank{A: stacked(low), B: stacked(high), Scale: []float32{0.7}, Magnitude: stacked(magnitude), Norms: norms}
			})
			h := b.Linear(x, m.weights[up], m.weights[bias])
			return b.Linear(b.Act(h, Tanh), m.weights[down], Tensor{})
		}
	}
}

// wideTrainee has products wider, longer and of more rows than any block or window of the
// kernels.
func wideTrainee(random *rand.Rand, d quant.DType) *trainee {
	m := &trainee{name: "wide", kv: KVBF16}
	table, up, down := m.weight(random, d, traineeVocab, 330), m.weight(random, d, 700, 330), m.weight(random, d, 330, 700)
	norm, head := m.weight(random, quant.F32, 330), m.weight(random, d, traineeVocab, 330)
	m.build = func(b *Builder, w []Tensor) Value {
		x := b.Embed(w[table], 1)
		b.Layer()
		x = b.Add(x, b.Linear(b.Act(b.Linear(x, w[up], Tensor{}), Tanh), w[down], Tensor{}), 0.1)
		h := b.RMSNorm(b.Rows(x), w[norm], 0, 1e-5)
		return b.Loss(h, func(h Value) Value { return b.Scale(b.Linear(h, w[head], Tensor{}), 0.1) })
	}
	return m
}

func attentionBody(random *rand.Rand, d quant.DType, a AttentionArgs, layout Layout) func(m *trainee) func(b *Builder, x Value) Value {
	return func(m *trainee) func(b *Builder, x Value) Value {
		nq, nk, nv := a.Heads*a.KDim, a.KVHeads*a.KDim, a.KVHeads*a.VDim
		qkv, out, norm := m.weight(random, d, nq+nk+nv, traineeWidth), m.weight(random, d, traineeWidth, a.Heads*a.VDim), m.weight(random, quant.F32, a.KDim)
		positions, sinks := m.weight(random, d, 160, traineeWidth), -1
		if a.Sinks.Name != "" {
			sinks = m.weight(random, quant.F32, a.Heads)
		}
		a.Scale = float32(1 / math.Sqrt(float64(a.KDim)))
		return func(b *Builder, x Value) Value {
			args := a
			if sinks >= 0 {
				args.Sinks = m.weights[sinks]
			}
			all := b.Linear(b.Add(x, b.EmbedPositions(m.weights[positions]), 1), m.weights[qkv], Tensor{})
			q, k := b.RMSNorm(b.View(all, 0, nq), m.weights[norm], a.KDim, 1e-5), b.View(all, nq, nk)
			table := b.RopeTable([]float32{1, 0.3}, 1.1)
			q, k = b.RoPE(q, table, a.Heads, a.KDim, layout), b.RoPE(k, table, a.KVHeads, a.KDim, layout)
			return b.Linear(b.Attention(0, q, k, b.View(all, nq+nk, nv), args), m.weights[out], Tensor{})
		}
	}
}

func expertBody(random *rand.Rand, d quant.DType, renormalise bool) func(m *trainee) func(b *Builder, x Value) Value {
	return func(m *trainee) func(b *Builder, x Value) Value {
		router := m.weight(random, quant.F32, 5, traineeWidth)
		up, bias, down := m.weight(random, d, 5, 20, traineeWidth), m.weight(random, quant.F32, 5, 20), m.weight(random, d, 5, traineeWidth, 20)
		return func(b *Builder, x Value) Value {
			ids, weights := b.Route(b.Linear(x, m.weights[router], Tensor{}), 2, renormalise, 1.5)
			h := b.Act(b.ExpertLinear(x, ids, m.weights[up], m.weights[bias]), SiLU)
			return b.Combine(b.ExpertLinear(h, ids, m.weights[down], Tensor{}), weights)
		}
	}
}

// run returns the losses and the gradients of one batch of m.
func (m *trainee) run(t *testing.T, table *Table, b Batch, o Training) (losses []float32, grads [][]float32) {
	t.Helper()
	var native arena
	t.Cleanup(native.free)
	byName := map[string][]float32{}
	for _, w := range m.weights {
		g, err := take[float32](&native, w.Elems())
		if err != nil {
			t.Fatal(err)
		}
		byName[w.Name], grads = g, append(grads, g)
	}
	o.LogitRows = len(b.LogitRows) + 700 // windows without rows
	o.Gradient = func(w Tensor) []float32 { return byName[w.Name] }
	builder := NewBuilder(ActBF16, m.kv)
	builder.Train(o)
	builder.Output(m.build(builder, m.weights))
	p := builder.Program()
	defer p.Close()
	r, err := NewRunner(p, table, Limits{Tokens: len(b.Tokens), LogitRows: o.LogitRows, Seqs: len(b.SeqLen), Blocks: len(b.Tables)})
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	defer r.Close()
	if err := r.Run(&b); err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	out, _, _ := r.Output()
	return slices.Clone(out), grads
}

// trainingBatch is a batch of sequences with random tokens, most rows of which have a
// target, the first of each among them.
func trainingBatch(random *rand.Rand, seqs ...int) Batch {
	b := wholeBatch(seqs)
	b.LogitRows, b.Targets = nil, nil
	for t := range b.Tokens {
		b.Tokens[t] = int32(random.IntN(traineeVocab))
		if random.IntN(5) > 0 || b.Positions[t] == 0 {
			b.LogitRows = append(b.LogitRows, int32(t))
			b.Targets = append(b.Targets, int32(random.IntN(traineeVocab)))
		}
	}
	return b
}

// TestGradientsByDifferences compares each weight's gradient on the reference with
// central differences of the loss, along the gradient and along a random direction,
// extrapolated from two step lengths (Richardson). The losses are f32, so that their
// sum is off by about 1e-6 where the steps move it by some 1e-2.
func TestGradientsByDifferences(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, m := range trainees(random, quant.F32) {
		b := trainingBatch(random, 9, 1, 20)
		_, grads := m.run(t, Reference, b, Training{})
		for i := range m.weights {
			along, across := slices.Clone(grads[i]), make([]float32, len(grads[i]))
			for j := range across {
				across[j] = float32(random.NormFloat64())
			}
			m.checkDirection(t, b, i, grads[i], along)
			m.checkDirection(t, b, i, grads[i], across)
		}
	}
}

func (m *trainee) checkDirection(t *testing.T, b Batch, i int, grad, direction []float32) {
	t.Helper()
	length := norm(direction)
	if length == 0 {
		t.Errorf("%s: the gradient of %s is zero", m.name, m.weights[i].Name)
		return
	}
	var want float64
	for j, d := range direction {
		want += float64(d) / length * float64(grad[j])
	}
	h := 0.002 / max(1, norm(grad)/30)
	one, two := m.slope(t, b, i, direction, h/length), m.slope(t, b, i, direction, 2*h/length)
	got := (4*one - two) / 3 / length
	if math.Abs(got-want) > 2e-3*norm(grad)+2e-3 {
		t.Errorf("%s: along a direction of %s the loss changes by %.5g, its gradient (of norm %.3g) says %.5g", m.name, m.weights[i].Name, got, norm(grad), want)
	}
}

// slope is the central difference of the summed loss along direction.
func (m *trainee) slope(t *testing.T, b Batch, i int, direction []float32, h float64) float64 {
	t.Helper()
	values := view[float32](m.weights[i].Data, m.weights[i].Elems())
	kept := slices.Clone(values)
	at := func(h float64) (sum float64) {
		for j, d := range direction {
			values[j] = kept[j] + float32(h*float64(d))
		}
		losses, _ := m.run(t, Reference, b, Training{})
		copy(values, kept)
		for _, l := range losses {
			sum += float64(l)
		}
		return sum
	}
	return (at(h) - at(-h)) / (2 * h)
}

func norm(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// TestGradientConformance holds every table's gradients to the reference's, and to
// themselves bit for bit: with one thread and with two, recomputed and kept.
func TestGradientConformance(t *testing.T) {
	one, two := Open(1, Options{}), Open(2, Options{})
	defer one.Close()
	defer two.Close()
	for i, table := range one.Tables()[:len(one.Tables())-1] {
		t.Run(table.Name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, 8))
			for _, d := range []quant.DType{quant.F32, quant.BF16} {
				for range rounds(t) {
					magnitudes := newTrainee(random, d, "magnitudes of changing rows", magnitudeBody(random, d, Tensor{}))
					for _, m := range append(trainees(random, d), magnitudes) {
						b := trainingBatch(random, 1+random.IntN(150), 1+random.IntN(60), 1)
						m.conform(t, table, two.Tables()[i], b, d)
					}
				}
				wideTrainee(random, d).conform(t, table, two.Tables()[i], trainingBatch(random, 300, 500), d)
			}
		})
	}
}

func (m *trainee) conform(t *testing.T, table, threaded *Table, b Batch, d quant.DType) {
	t.Helper()
	o := Training{Balance: 0.1}
	losses, grads := m.run(t, table, b, o)
	_, again := m.run(t, threaded, b, o)
	_, want := m.run(t, Reference, b, o)
	for i := range grads {
		name := m.weights[i].Name
		if !sameAll(grads[i], again[i]) {
			t.Errorf("%s in %v: the gradient of %s has other bits with two threads", m.name, d, name)
		}
		if off := distance(grads[i], want[i]); off > gradientTolerance(d) {
			t.Errorf("%s in %v: the gradient of %s is off by %.2g of its norm", m.name, d, name, off)
		}
	}
	for _, r := range []Recompute{RecomputeLight, RecomputeFFN, RecomputeBlock} {
		_, again := m.run(t, table, b, Training{Balance: 0.1, Recompute: r})
		for i := range grads {
			if !sameAll(grads[i], again[i]) {
				t.Errorf("%s in %v: the gradient of %s has other bits with --recompute %v", m.name, d, m.weights[i].Name, r)
			}
		}
	}
	if slices.ContainsFunc(losses, func(l float32) bool { return !(l >= 0) }) {
		t.Errorf("%s in %v: losses %v", m.name, d, losses)
	}
}

// gradientTolerance bounds the distance of two gradients as a share of the norm. In f32
// sums of some hundred terms in another order follow each other some ten times. In bf16
// a factor that lies near the border of two values, 2^-8 apart, is now rounded to the
// one and now to the other.
func gradientTolerance(d quant.DType) float64 {
	if d == quant.BF16 {
		return 0x1p-8
	}
	return 2e-5
}

func sameAll(x, y []float32) bool { return slices.EqualFunc(x, y, sameBits) }

func distance(x, y []float32) float64 {
	off := make([]float32, len(x))
	for i := range x {
		off[i] = x[i] - y[i]
	}
	return norm(off) / max(norm(y), 1e-6)
}

// TestNoise: losses and gradients are those of a model whose table has the noise of each
// token's row in it, bit for bit, in every table.
func TestNoise(t *testing.T) {
	lib := Open(2, Options{})
	defer lib.Close()
	random := rand.New(rand.NewPCG(11, 12))
	m := wideTrainee(random, quant.F32)
	b := trainingBatch(random, 9, 1, 12)
	for i, token := range random.Perm(traineeVocab)[:len(b.Tokens)] {
		b.Tokens[i] = int32(token) // each once
	}
	var native arena
	defer native.free()
	table := m.weights[0]
	noise, err := take[float32](&native, len(b.Tokens)*table.Cols())
	if err != nil {
		t.Fatal(err)
	}
	for i := range noise {
		noise[i] = float32(random.NormFloat64())
	}
	noisy := *m
	noisy.weights = slices.Clone(m.weights)
	noisy.weights[0].Data = slices.Clone(table.Data)
	for i, token := range b.Tokens {
		row := view[float32](noisy.weights[0].Data, table.Elems())[int(token)*table.Cols():][:table.Cols()]
		for j := range row {
			row[j] += noise[i*table.Cols()+j]
		}
	}
	for _, table := range append(lib.Tables(), Reference) {
		for _, r := range []Recompute{RecomputeNone, RecomputeBlock} {
			losses, grads := m.run(t, table, b, Training{Noise: noise, Recompute: r})
			wantLosses, want := noisy.run(t, table, b, Training{Recompute: r})
			if !slices.Equal(losses, wantLosses) {
				t.Errorf("%s, recompute %v: losses %v, want %v", table.Name, r, losses, wantLosses)
			}
			for i := range grads {
				if !slices.Equal(grads[i], want[i]) {
					t.Errorf("%s, recompute %v: another gradient of %s", table.Name, r, m.weights[i].Name)
				}
			}
		}
	}
	with, _ := m.run(t, Reference, b, Training{Noise: noise})
	if without, _ := m.run(t, Reference, b, Training{}); slices.Equal(with, without) {
		t.Error("the noise changes no loss")
	}
	m.refuses(t, b, Training{Noise: noise[1:]})
}

// refuses checks that there is no Runner for memory that batches like b outgrow.
func (m *trainee) refuses(t *testing.T, b Batch, o Training) {
	t.Helper()
	o.LogitRows, o.Gradient = len(b.LogitRows), func(Tensor) []float32 { return nil }
	builder := NewBuilder(ActBF16, m.kv)
	builder.Train(o)
	builder.Output(m.build(builder, m.weights))
	p := builder.Program()
	defer p.Close()
	if _, err := NewRunner(p, Reference, Limits{Tokens: len(b.Tokens), LogitRows: o.LogitRows, Seqs: len(b.SeqLen), Blocks: len(b.Tables)}); err == nil || !strings.Contains(err.Error(), "noise") {
		t.Errorf("noise for less than all tokens: %v", err)
	}
}

// TestMicroBatches: the gradients of two batches add up to that of both together.
func TestMicroBatches(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	table := Tables()[0]
	for _, m := range trainees(random, quant.F32) {
		seqs := []int{30, 7, 1, 22}
		whole := trainingBatch(random, seqs...)
		_, want := m.run(t, table, whole, Training{})
		sums := make([][]float32, len(want))
		for s := range seqs {
			_, grads := m.run(t, table, sequence(&whole, s), Training{})
			for i, g := range grads {
				if sums[i] == nil {
					sums[i] = make([]float32, len(g))
				}
				addProduct(sums[i], 1, g)
			}
		}
		for i := range want {
			if off := distance(sums[i], want[i]); off > gradientTolerance(quant.F32) {
				t.Errorf("%s: the gradient of %s from four batches is off by %.2g", m.name, m.weights[i].Name, off)
			}
		}
	}
}

// sequence returns sequence s of a batch as a batch of its own.
func sequence(b *Batch, s int) Batch {
	first, end := b.RowStart[s], b.RowStart[s+1]
	one := wholeBatch([]int{int(end - first)})
	one.Tokens = b.Tokens[first:end]
	one.LogitRows = nil
	for i, r := range b.LogitRows {
		if r >= first && r < end {
			one.LogitRows, one.Targets = append(one.LogitRows, r-first), append(one.Targets, b.Targets[i])
		}
	}
	return one
}
