package kernels

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/ingot-llm/ingot/quant"
)

// SelfTest compares the table with the reference on small products, norms and
// attentions, in some milliseconds. The error names the first that differs by more
// than its tolerance. The reference needs no test.
func (t *Table) SelfTest() error {
	if t.lib == nil {
		return nil
	}
	for _, p := range selfProbes() {
		if err := p.compare(t, Reference); err != nil {
			return fmt.Errorf("kernels %s: %s: %w", t.Name, p.name, err)
		}
	}
	if err := t.testRows(); err != nil {
		return fmt.Errorf("kernels %s: rows of logits: %w", t.Name, err)
	}
	return nil
}

// testRows compares what the table finds in a row of logits with what the reference does.
func (t *Table) testRows() error {
	random := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, 3*Strip+5)
	for i := range x {
		x[i] = float32(8 * random.NormFloat64())
	}
	got, want := []Row{{X: x, Scale: 1, Moments: true}}, []Row{{X: x, Scale: 1, Moments: true}}
	mine, reference := NewRowReader(t), NewRowReader(nil)
	defer mine.Close()
	defer reference.Close()
	if err := errors.Join(mine.Read(got), reference.Read(want)); err != nil {
		return err
	}
	a, b := &got[0], &want[0]
	if a.Top != b.Top || a.Total != b.Total || a.Moment != b.Moment || !slices.Equal(a.High, b.High) {
		return fmt.Errorf("largest %v, weights %v, moment %v where the reference has %v, %v, %v", a.Top, a.Total, a.Moment, b.Top, b.Total, b.Moment)
	}
	return nil
}

// probe is a small program over known input, to compare tables with.
type probe struct {
	name  string
	input Tensor // F32 [T, C]: row t is what token t brings
	seqs  []int  // tokens of each sequence; they sum to T
	act   Activations
	kv    KVType
	build func(b *Builder, x Value) Value

	// within is the largest difference of an element, as a part of the root mean square
	// of the result; 0 asks for the same bits.
	within float64
}

// sumTolerance is the part of its root mean square by which two sums of k products of
// random sign may differ. Each addition is off by up to 2^-24 of a partial sum, which is
// about as large as the result; k such errors of random sign add up to sqrt(k) of them;
// 16 is the margin for the largest of many elements.
func sumTolerance(k int) float64 { return 16 * math.Sqrt(float64(k)) * 0x1p-24 }

// functionTolerance is for exp, tanh and the like by polynomials: 16 units in the last
// place.
const functionTolerance = 0x1p-20

func (p *probe) program() *Program {
	b := NewBuilder(p.act, p.kv)
	y := p.build(b, b.Embed(p.input, 1))
	b.Output(y)
	return b.Program()
}

func (p *probe) limits() Limits {
	n := p.input.Rows()
	return Limits{Tokens: n, LogitRows: n, Seqs: len(p.seqs), Blocks: n/BlockTokens + len(p.seqs)}
}

// run returns what t gives for all the input at once.
func (p *probe) run(t *Table) ([]float32, error) {
	program := p.program()
	defer program.Close()
	r, err := NewRunner(program, t, p.limits())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	batch := wholeBatch(p.seqs)
	if err := r.Run(&batch); err != nil {
		return nil, err
	}
	out, _, _ := r.Output()
	return append([]float32(nil), out...), nil
}

// compare returns an error where the tables differ.
func (p *probe) compare(t, with *Table) error {
	got, err := p.run(t)
	if err != nil {
		return err
	}
	want, err := p.run(with)
	if err != nil {
		return err
	}
	return differ(got, want, p.within)
}

// differ returns an error for the first element of got that is further from want than
// the part within of want's root mean square.
func differ(got, want []float32, within float64) error {
	var squares float64
	for _, v := range want {
		squares += float64(v) * float64(v)
	}
	limit := within * math.Sqrt(squares/float64(len(want)))
	for i, v := range want {
		if d := math.Abs(float64(got[i]) - float64(v)); got[i] != v && !(d <= limit) {
			return fmt.Errorf("element %d of %d is %g where the reference has %g (tolerance %g)", i, len(want), got[i], v, limit)
		}
	}
	return nil
}

// wholeBatch is a batch of whole sequences of the given lengths, token t being the
// t-th row. Blocks go to the sequences from the last one down, so that no block has
// the number of its place.
func wholeBatch(seqs []int) Batch {
	b := Batch{RowStart: []int32{0}, TableStart: []int32{0}}
	block := int32(-1)
	for _, n := range seqs {
		block += int32(n+BlockTokens-1) / BlockTokens
	}
	for _, n := range seqs {
		for p := range int32(n) {
			if p%BlockTokens == 0 {
				b.Tables = append(b.Tables, block)
				block--
			}
			t := int32(len(b.Tokens))
			b.Tokens, b.Positions, b.LogitRows = append(b.Tokens, t), append(b.Positions, p), append(b.LogitRows, t)
			b.Slots = append(b.Slots, b.Tables[len(b.Tables)-1]*BlockTokens+p%BlockTokens)
		}
		b.SeqLen = append(b.SeqLen, int32(n))
		b.RowStart = append(b.RowStart, int32(len(b.Tokens)))
		b.TableStart = append(b.TableStart, int32(len(b.Tables)))
	}
	return b
}

// selfProbes are the probes of SelfTest: each kind of kernel that a step spends its
// time in, once.
func selfProbes() []*probe {
	random := rand.New(rand.NewPCG(1, 2))
	input := randomF32(random, 5, 256)
	var probes []*probe
	for _, d := range []quant.DType{quant.F32, quant.F16, quant.BF16, quant.Q8_0, quant.Q4_0, quant.Q4_K} {
		w := randomWeight(random, d, 19, 256)
		for _, act := range []Activations{ActBF16, ActInt8} {
			p := &probe{name: fmt.Sprintf("product of %v with %v", d, act), input: input, seqs: []int{5}, act: act, within: sumTolerance(256)}
			p.build = func(b *Builder, x Value) Value { return b.Linear(x, w, Tensor{}) }
			if act == ActInt8 && quant.HasIntForm(d) {
				p.within = 0
			}
			probes = append(probes, p)
		}
	}
	for _, kv := range []KVType{KVBF16, KVF32, KVQ8_0} {
		probes = append(probes, attentionProbe(random, kv, []int{37, 1}))
	}
	return append(probes, &probe{
		name: "norm and gate", input: input, seqs: []int{5}, within: 4 * functionTolerance,
		build: func(b *Builder, x Value) Value {
			y := b.RMSNorm(x, Tensor{}, 0, 1e-5)
			return b.GLU(SiLU, b.View(y, 0, 128), b.View(y, 128, 128), 0, 0)
		},
	})
}

func attentionProbe(random *rand.Rand, kv KVType, seqs []int) *probe {
	const heads, kvHeads, dim = 4, 2, 32
	tokens := 0
	for _, n := range seqs {
		tokens += n
	}
	return &probe{
		name: "attention over " + kv.String(), seqs: seqs, kv: kv, within: sumTolerance(dim) + 16*functionTolerance,
		input: randomF32(random, tokens, (heads+2*kvHeads)*dim),
		build: func(b *Builder, x Value) Value {
			q, k := b.View(x, 0, heads*dim), b.View(x, heads*dim, kvHeads*dim)
			v := b.View(x, (heads+kvHeads)*dim, kvHeads*dim)
			table := b.RopeTable([]float32{1, 0.3, 0.1, 0.01}, 1)
			q, k = b.RoPE(q, table, heads, dim, RopeHalf), b.RoPE(k, table, kvHeads, dim, RopeHalf)
			return b.Attention(0, q, k, v, AttentionArgs{Heads: heads, KVHeads: kvHeads, KDim: dim, VDim: dim, Scale: 0.25})
		},
	}
}

func randomF32(random *rand.Rand, shape ...int) Tensor {
	t := Tensor{Name: "random", DType: quant.F32, Shape: shape}
	t.Data = make([]byte, 4*t.Elems())
	for i := range t.Elems() {
		binary.LittleEndian.PutUint32(t.Data[4*i:], math.Float32bits(float32(random.NormFloat64())))
	}
	return t
}

// randomWeight returns random bytes as a weight of type d, with scales that are small
// numbers.
func randomWeight(random *rand.Rand, d quant.DType, shape ...int) Tensor {
	t := Tensor{Name: "random " + d.String(), DType: d, Shape: shape}
	t.Data = make([]byte, t.Rows()*d.RowBytes(t.Cols()))
	for i := range t.Data {
		t.Data[i] = byte(random.Uint32())
	}
	for at := 0; at < len(t.Data); at += d.BlockBytes() {
		scaleBlock(random, d, t.Data[at:][:d.BlockBytes()])
	}
	return t
}

// scaleBlock overwrites the float fields of a block of random bytes.
func scaleBlock(random *rand.Rand, d quant.DType, block []byte) {
	small := func() float32 { return float32(0.01 * (1 + random.Float64())) }
	f16 := func(at int) { binary.LittleEndian.PutUint16(block[at:], quant.F32ToF16(small())) }
	switch d {
	case quant.F32:
		binary.LittleEndian.PutUint32(block, math.Float32bits(float32(random.NormFloat64())))
	case quant.F16:
		binary.LittleEndian.PutUint16(block, quant.F32ToF16(float32(random.NormFloat64())))
	case quant.BF16:
		binary.LittleEndian.PutUint16(block, quant.F32ToBF16(float32(random.NormFloat64())))
	case quant.Q4_K:
		f16(0)
		f16(2)
	default: // Q4_0, Q8_0
		f16(0)
	}
}
