package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

// The reference is held to the textbook formulas in float64, computed here by other
// means than the reference's own.

// result runs build on the reference over input, in sequences of seqs tokens.
func result(t *testing.T, input Tensor, seqs []int, act Activations, kv KVType, build func(b *Builder, x Value) Value) []float32 {
	t.Helper()
	p := &probe{name: t.Name(), input: input, seqs: seqs, act: act, kv: kv, build: build}
	out, err := p.run(Reference)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func near(t *testing.T, name string, got []float32, want []float64, within float64) {
	t.Helper()
	rounded := make([]float32, len(want))
	for i, v := range want {
		rounded[i] = float32(v)
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", name, len(got), len(want))
	}
	if err := differ(got, rounded, within); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func floats(w Tensor) []float32 {
	x := make([]float32, w.Elems())
	quant.Dequantize(w.DType, x, w.Data)
	return x
}

func TestLinearIsAMatrixProduct(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	const rows, k, outs = 3, 512, 7
	input, bias := randomF32(random, rows, k), randomF32(random, outs)
	for _, c := range []struct {
		dtype  quant.DType
		act    Activations
		within float64 // the rounding of activations and weights, each of sqrt(k) random errors
	}{
		{quant.F32, ActBF16, 1e-6}, {quant.BF16, ActInt8, 0x1p-8}, {quant.F16, ActBF16, 0x1p-7},
		{quant.Q8_0, ActBF16, 0x1p-7}, {quant.Q8_0, ActInt8, 0.03}, {quant.Q4_K, ActInt8, 0.03}, {quant.Q2_K, ActInt8, 0.03},
	} {
		w := anyWeight(random, c.dtype, outs, k)
		got := result(t, input, []int{rows}, c.act, KVBF16, func(b *Builder, x Value) Value { return b.Linear(x, w, bias) })
		var want []float64
		x, weights := floats(input), floats(w)
		for r := range rows {
			for o := range outs {
				y := float64(floats(bias)[o])
				for i := range k {
					y += float64(x[r*k+i]) * float64(weights[o*k+i])
				}
				want = append(want, y)
			}
		}
		near(t, c.dtype.String()+" with "+c.act.String(), got, want, c.within)
	}
}

// attend is softmax attention as the papers write it, for one head and one row.
func attend(q []float32, keys, values [][]float32, visible func(j int) bool, a AttentionArgs, sink float64) []float64 {
	scores := make([]float64, len(keys))
	total := 0.0
	if a.Sinks.Data != nil {
		total = math.Exp(sink)
	}
	for j := range keys {
		for d := range q {
			scores[j] += float64(q[d]) * float64(keys[j][d]) * float64(a.Scale)
		}
		if c := float64(a.Softcap); c != 0 {
			scores[j] = c * math.Tanh(scores[j]/c)
		}
		if visible(j) {
			total += math.Exp(scores[j])
		}
	}
	out := make([]float64, a.VDim)
	for j := range keys {
		for d := range out {
			if visible(j) {
				out[d] += math.Exp(scores[j]) / total * float64(values[j][d])
			}
		}
	}
	return out
}

func TestAttentionIsSoftmaxOverTheVisibleKeys(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 24))
	seqs := []int{37, 16, 1}
	base := AttentionArgs{Heads: 4, KVHeads: 2, KDim: 24, VDim: 20, Scale: 0.2}
	for _, c := range []struct {
		name   string
		change func(a *AttentionArgs)
	}{
		{"causal", func(a *AttentionArgs) {}},
		{"window", func(a *AttentionArgs) { a.Window = 5 }},
		{"wide window", func(a *AttentionArgs) { a.Window = 17 }},
		{"softcap", func(a *AttentionArgs) { a.Softcap = 0.5 }},
		{"sinks", func(a *AttentionArgs) { a.Sinks = randomF32(random, 4) }},
		{"bidirectional", func(a *AttentionArgs) { a.Bidirectional = true }},
		{"one KV head", func(a *AttentionArgs) { a.KVHeads = 1 }},
	} {
		for _, kv := range []KVType{KVF32, KVBF16, KVQ8_0} {
			a := base
			c.change(&a)
			testAttention(t, random, c.name+" over "+kv.String(), seqs, a, kv)
		}
	}
}

// kept is what a cache of type kv makes of one head's x.
func kept(kv KVType, x []float32) []float32 {
	y := slices.Clone(x)
	for i := range y {
		switch kv {
		case KVBF16:
			y[i] = quant.BF16ToF32(quant.F32ToBF16(x[i]))
		case KVQ8_0:
			group := x[i/32*32 : min(i/32*32+32, len(x))]
			largest := max(slices.Max(group), -slices.Min(group))
			d := quant.F16ToF32(quant.F32ToF16(largest / 127))
			y[i] = d * float32(math.RoundToEven(float64(x[i]*(1/d))))
		}
	}
	return y
}

func testAttention(t *testing.T, random *rand.Rand, name string, seqs []int, a AttentionArgs, kv KVType) {
	cols := a.Heads*a.KDim + a.KVHeads*(a.KDim+a.VDim)
	input := randomF32(random, 54, cols)
	got := result(t, input, seqs, ActBF16, kv, func(b *Builder, x Value) Value {
		k := a.Heads * a.KDim
		v := k + a.KVHeads*a.KDim
		return b.Attention(0, b.View(x, 0, k), b.View(x, k, a.KVHeads*a.KDim), b.View(x, v, a.KVHeads*a.VDim), a)
	})
	// head h of the part that begins at column from.
	x := floats(input)
	head := func(row, from, dim, h int) []float32 { return x[row*cols+from+h*dim:][:dim] }
	var want []float64
	first := 0
	for _, n := range seqs {
		for p := range n {
			for h := range a.Heads {
				var keys, values [][]float32
				for j := range n {
					kvHead := h * a.KVHeads / a.Heads
					keys = append(keys, kept(kv, head(first+j, a.Heads*a.KDim, a.KDim, kvHead)))
					values = append(values, kept(kv, head(first+j, (a.Heads+a.KVHeads)*a.KDim, a.VDim, kvHead)))
				}
				visible := func(j int) bool { return (a.Bidirectional || j <= p) && (a.Window == 0 || j > p-a.Window) }
				sink := 0.0
				if a.Sinks.Data != nil {
					sink = float64(floats(a.Sinks)[h])
				}
				q := head(first+p, 0, a.KDim, h)
				if kv == KVBF16 {
					q = kept(kv, q)
				}
				want = append(want, attend(q, keys, values, visible, a, sink)...)
			}
		}
		first += n
	}
	tolerance := 2e-6
	if kv == KVBF16 {
		tolerance = 0x1p-6 // a weight is off by up to 2^-9 of itself, a value up to 8 times the result's mean
	}
	near(t, name, got, want, tolerance)
}

func TestNormsFollowTheirFormulas(t *testing.T) {
	random := rand.New(rand.NewPCG(25, 26))
	const rows, cols, group = 4, 90, 45
	input, w, bias := randomF32(random, rows, cols), randomF32(random, cols), randomF32(random, cols)
	small := randomF32(random, group)
	x := floats(input)
	var rms, layer []float64
	for i, v := range x {
		row := x[i/cols*cols:][:cols]
		part := x[i/group*group:][:group]
		var squares, mean, variance float64
		for _, u := range part {
			squares += float64(u) * float64(u) / group
		}
		for _, u := range row {
			mean += float64(u) / cols
		}
		for _, u := range row {
			variance += (float64(u) - mean) * (float64(u) - mean) / cols
		}
		rms = append(rms, float64(v)/math.Sqrt(squares+0.1)*float64(floats(small)[i%group]))
		layer = append(layer, (float64(v)-mean)/math.Sqrt(variance+0.1)*float64(floats(w)[i%cols])+float64(floats(bias)[i%cols]))
	}
	near(t, "rmsnorm", result(t, input, []int{rows}, 0, 0, func(b *Builder, x Value) Value {
		return b.RMSNorm(x, small, group, 0.1)
	}), rms, 1e-6)
	near(t, "layernorm", result(t, input, []int{rows}, 0, 0, func(b *Builder, x Value) Value {
		return b.LayerNorm(x, w, bias, 0.1)
	}), layer, 1e-6)
}

// Rotating a pair multiplies a + ib with e^(i angle).
func TestRoPERotatesPairs(t *testing.T) {
	random := rand.New(rand.NewPCG(27, 28))
	const rows, heads, dim, pairs = 5, 2, 10, 4
	input := randomF32(random, rows, heads*dim)
	inv := []float32{1, 0.5, 0.01, 0.001}
	for _, layout := range []Layout{RopeHalf, RopeInterleaved} {
		got := result(t, input, []int{rows}, 0, 0, func(b *Builder, x Value) Value {
			return b.RoPE(x, b.RopeTable(inv, 2), heads, dim, layout)
		})
		x := floats(input)
		want := make([]float64, len(x))
		for head := range rows * heads {
			in, out := x[head*dim:][:dim], want[head*dim:][:dim]
			for i := range pairs {
				a, b := in[i], in[i+pairs]
				if layout == RopeInterleaved {
					a, b = in[2*i], in[2*i+1]
				}
				angle := float64(head/heads) * float64(inv[i])
				z := complex(float64(a), float64(b)) * complex(2*math.Cos(angle), 2*math.Sin(angle))
				out[i], out[i+pairs] = real(z), imag(z)
			}
			out[8], out[9] = float64(in[8]), float64(in[9])
		}
		near(t, "rope", got, want, 1e-6)
	}
}

func TestActivationsHaveKnownValues(t *testing.T) {
	input := f32Tensor([]float32{-2, -0.5, 0, 1, 9}, 1, 5)
	for kind, want := range map[Act][]float64{ // to seven digits, from the functions' definitions
		SiLU:     {-0.2384058, -0.1887703, 0, 0.7310586, 8.998890},
		GELUTanh: {-0.0454023, -0.1542860, 0, 0.8411920, 9},
		GELUErf:  {-0.0455003, -0.1542688, 0, 0.8413447, 9},
		ReLU:     {0, 0, 0, 1, 9},
		Tanh:     {-0.9640276, -0.4621172, 0, 0.7615942, 1},
	} {
		got := result(t, input, []int{1}, 0, 0, func(b *Builder, x Value) Value { return b.Act(x, kind) })
		near(t, "act", got, want, 1e-7)
	}
	// gate 9 is cut to 7, up -2 stays, up 9 is cut to 7: g * sigmoid(1.702 g) * (u + 1)
	gated := f32Tensor([]float32{1, 9, -2, 9}, 1, 4)
	got := result(t, gated, []int{1}, 0, 0, func(b *Builder, x Value) Value {
		return b.GLU(SwiGLUClamped, b.View(x, 0, 2), b.View(x, 2, 2), 1.702, 7)
	})
	near(t, "clamped", got, []float64{-0.8457958, 55.99963}, 1e-6)
}

func f32Tensor(x []float32, shape ...int) Tensor {
	return Tensor{Name: "given", DType: quant.F32, Shape: shape, Data: bytesOf(x)}
}

func TestRouteTakesTheLargest(t *testing.T) {
	input := f32Tensor([]float32{0, 2, 1, 2, -1}, 1, 5)
	ids := result(t, input, []int{1}, 0, 0, func(b *Builder, x Value) Value { ids, _ := b.Route(x, 3, false, 1); return ids })
	var chosen []uint32
	for _, v := range ids {
		chosen = append(chosen, math.Float32bits(v))
	}
	if want := []uint32{1, 3, 2}; !slices.Equal(chosen, want) { // 1 before 3: equal, and lower
		t.Errorf("experts %v, want %v", chosen, want)
	}
	e := math.E
	total := 1 + 2*e*e + e + 1/e
	weights := func(renormalise bool) []float32 {
		return result(t, input, []int{1}, 0, 0, func(b *Builder, x Value) Value { _, w := b.Route(x, 3, renormalise, 2); return w })
	}
	near(t, "weights", weights(false), []float64{2 * e * e / total, 2 * e * e / total, 2 * e / total}, 1e-6)
	near(t, "renormalised", weights(true), []float64{2 * e / (2*e + 1), 2 * e / (2*e + 1), 2 / (2*e + 1)}, 1e-6)
}

func TestExpertsAreLinearsAddedUp(t *testing.T) {
	random := rand.New(rand.NewPCG(29, 30))
	const rows, inner, outs, experts = 6, 12, 5, 4
	input := randomF32(random, rows, inner+experts)
	w, bias := randomF32(random, experts, outs, inner), randomF32(random, experts, outs)
	got := result(t, input, []int{rows}, 0, 0, func(b *Builder, x Value) Value {
		ids, weights := b.Route(b.View(x, inner, experts), experts, true, 1) // all of them
		return b.Combine(b.ExpertLinear(b.View(x, 0, inner), ids, w, bias), weights)
	})
	x, weights, biases := floats(input), floats(w), floats(bias)
	var want []float64
	for r := range rows {
		row, logits := x[r*(inner+experts):][:inner], x[r*(inner+experts)+inner:][:experts]
		var total float64
		for _, v := range logits {
			total += math.Exp(float64(v))
		}
		for o := range outs {
			var y float64
			for e, logit := range logits {
				part := float64(biases[e*outs+o])
				for i, v := range row {
					part += float64(v) * float64(weights[(e*outs+o)*inner+i])
				}
				y += math.Exp(float64(logit)) / total * part
			}
			want = append(want, y)
		}
	}
	near(t, "experts", got, want, 1e-6)
}

func TestPoolAndRowsPickRows(t *testing.T) {
	input := f32Tensor([]float32{1, 10, 2, 20, 3, 30, 4, 40}, 4, 2)
	for kind, want := range map[PoolKind][]float32{
		PoolMean: {2, 20, 4, 40}, PoolFirst: {1, 10, 4, 40}, PoolLast: {3, 30, 4, 40},
	} {
		got := result(t, input, []int{3, 1}, 0, 0, func(b *Builder, x Value) Value { return b.Pool(x, kind) })
		if !slices.Equal(got, want) {
			t.Errorf("pool %d gives %v, want %v", kind, got, want)
		}
	}
	p := &probe{input: input, seqs: []int{3, 1}, build: func(b *Builder, x Value) Value { return b.Rows(x) }}
	program := p.program()
	defer program.Close()
	r, err := NewRunner(program, Reference, p.limits())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	batch := wholeBatch(p.seqs)
	batch.LogitRows = []int32{3, 1}
	if err := r.Run(&batch); err != nil {
		t.Fatal(err)
	}
	got, rows, width := r.Output()
	if want := []float32{4, 40, 2, 20}; rows != 2 || width != 2 || !slices.Equal(got, want) {
		t.Errorf("rows 3 and 1 are %v [%d, %d], want %v", got, rows, width, want)
	}
}

// Embeddings of float types that no product takes are widened, and so are norms.
func TestWeightsAreWidened(t *testing.T) {
	wide := Tensor{Name: "f64", DType: quant.F64, Shape: []int{2, 2}, Data: make([]byte, 32)}
	for i, v := range []uint64{math.Float64bits(1), math.Float64bits(2), math.Float64bits(3), math.Float64bits(4)} {
		for j := range 8 {
			wide.Data[8*i+j] = byte(v >> (8 * j))
		}
	}
	half := Tensor{Name: "f16", DType: quant.F16, Shape: []int{2}, Data: []byte{0, 0x3c, 0, 0x40}} // 1, 2
	got := result(t, f32Tensor([]float32{0, 0}, 2, 1), []int{2}, 0, 0, func(b *Builder, _ Value) Value {
		return b.LayerNorm(b.Embed(wide, 1), half, Tensor{}, 0)
	})
	if want := []float32{-1, 2, -1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A file may put F32 weights at any byte; kernels and Go want vectors at multiples of 4.
func TestWeightsThatLieAskewAreMoved(t *testing.T) {
	askew := Tensor{Name: "askew", DType: quant.F32, Shape: []int{2}}
	data := bytesOf(make([]float32, 3))
	askew.Data = append(data[:1], bytesOf([]float32{3, 5})...)[1:]
	if address(askew.Data)%4 == 0 {
		t.Fatal("the weight is not askew")
	}
	got := result(t, f32Tensor([]float32{1, -1}, 1, 2), []int{1}, 0, 0, func(b *Builder, x Value) Value {
		return b.Linear(b.RMSNorm(x, askew, 0, 0), Tensor{Name: "w", DType: quant.F32, Shape: []int{1, 2}, Data: askew.Data}, Tensor{})
	})
	if want := []float32{3*3 - 5*5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestShapesThatDoNotFitAreRefused(t *testing.T) {
	random := rand.New(rand.NewPCG(31, 32))
	for want, build := range map[string]func(b *Builder, x Value){
		"w [3 9]":       func(b *Builder, x Value) { b.Linear(x, named("w", random, 3, 9), Tensor{}) },
		"bias":          func(b *Builder, x Value) { b.Linear(x, named("w", random, 3, 8), named("bias", random, 4)) },
		"two dimension": func(b *Builder, x Value) { b.Linear(x, named("w", random, 24), Tensor{}) },
		"norm":          func(b *Builder, x Value) { b.RMSNorm(x, named("norm", random, 7), 0, 1) },
		"groups of 3":   func(b *Builder, x Value) { b.RMSNorm(x, Tensor{}, 3, 1) },
		"without a wei": func(b *Builder, x Value) { b.LayerNorm(x, Tensor{}, Tensor{}, 1) },
		"columns 4 to ": func(b *Builder, x Value) { b.View(x, 4, 5) },
		"add":           func(b *Builder, x Value) { b.Add(x, b.View(x, 0, 4), 1) },
		"table of 6":    func(b *Builder, x Value) { b.RoPE(x, b.RopeTable([]float32{1, 2, 3}, 1), 2, 4, RopeHalf) },
		"3 heads of 2": func(b *Builder, x Value) {
			b.Attention(0, x, x, x, AttentionArgs{Heads: 3, KVHeads: 2, KDim: 4, VDim: 4})
		},
		"sinks": func(b *Builder, x Value) {
			b.Attention(0, x, x, x, AttentionArgs{Heads: 2, KVHeads: 2, KDim: 4, VDim: 4, Sinks: named("sinks", random, 3)})
		},
		"9 experts": func(b *Builder, x Value) { b.Route(x, 9, true, 1) },
		"no weight": func(b *Builder, x Value) { b.Embed(Tensor{Name: "e", Shape: []int{0, 8}, Data: []byte{}}, 1) },
		"takes 96": func(b *Builder, x Value) {
			w := named("w", random, 3, 8)
			w.Data = w.Data[1:]
			b.Linear(x, w, Tensor{})
		},
	} {
		func() {
			b := NewBuilder(ActBF16, KVBF16)
			defer b.Close()
			defer func() {
				e, ok := recover().(*ShapeError)
				if !ok || !strings.Contains(e.Error(), want) {
					t.Errorf("want a ShapeError with %q, got %v", want, e)
				}
			}()
			build(b, b.Embed(randomF32(random, 4, 8), 1))
		}()
	}
}

func named(name string, random *rand.Rand, shape ...int) Tensor {
	w := randomF32(random, shape...)
	w.Name = name
	return w
}

// Weights are operands once, but a part of a weight is another one.
func TestPartsOfWeightsAreWeights(t *testing.T) {
	x, fused := f32Tensor([]float32{1, 2}, 1, 2), f32Tensor([]float32{1, 0, 0, 1}, 2, 2)
	part := Tensor{Name: "part", DType: quant.F32, Shape: []int{1, 2}, Data: fused.Data[:8]}
	got := result(t, x, []int{1}, 0, 0, func(b *Builder, x Value) Value {
		y := b.Linear(b.Linear(x, fused, Tensor{}), fused, Tensor{})
		if n := len(b.weights); n != 2 { // fused and the table of embeddings
			t.Errorf("%d weights, want 2", n)
		}
		return b.Linear(y, part, Tensor{})
	})
	if !slices.Equal(got, []float32{1}) {
		t.Errorf("got %v, want [1]", got)
	}
}

func TestActivationsArePackedOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(33, 34))
	b := NewBuilder(ActInt8, KVBF16)
	x := b.Embed(randomF32(random, 4, 32), 1)
	for _, d := range []quant.DType{quant.Q8_0, quant.Q4_0, quant.BF16, quant.BF16, quant.F32} {
		b.Output(b.Linear(x, randomWeight(random, d, 3, 32), Tensor{}))
	}
	p := b.Program()
	defer p.Close()
	if n := strings.Count(p.String(), " pack "); n != 2 { // once int8, once bf16
		t.Errorf("%d packs, want 2:\n%v", n, p)
	}
}
