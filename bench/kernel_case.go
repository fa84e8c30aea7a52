package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// kernelCase is one operation on one type, shape and number of rows.
type kernelCase struct {
	op         operation
	dtype      quant.DType
	outs, cols int // outs is 0 where the operation has as many as inputs
	rows       int
	context    int // keys of a sequence

	shared kernels.Value // x of the program under construction, -1 before it is made
}

func (c *kernelCase) typeName() string {
	switch {
	case c.op.types == noType:
		return "-"
	case c.dtype == kernels.PackBF16:
		return "bf16"
	case c.dtype == kernels.PackInt8:
		return "int8"
	}
	return c.dtype.String()
}

func (c *kernelCase) shapeText() string {
	if c.outs == 0 {
		return fmt.Sprint(c.cols)
	}
	return fmt.Sprintf("%dx%d", c.outs, c.cols)
}

// maxCache bounds the cache of all of a case's sequences in one layer.
const maxCache = 2 << 30

// cacheNeed returns about how many bytes of cache a layer takes: keys and values.
func (c *kernelCase) cacheNeed() float64 {
	if c.op.types != cacheType {
		return 0
	}
	seqs := 1
	if c.op.decode {
		seqs = c.rows
	}
	return float64(seqs) * float64(c.context) * float64(c.cols) / groupHeads * 2 * float64(c.dtype.RowBytes(quant.ActBlock)) / quant.ActBlock
}

// x returns the input that all repetitions share.
func (c *kernelCase) x(b *kernels.Builder) kernels.Value {
	if c.shared < 0 {
		c.shared = c.input(b)
	}
	return c.shared
}

// input returns an input of its own.
func (c *kernelCase) input(b *kernels.Builder) kernels.Value {
	return b.Embed(randomTensor(inputRows, c.cols), 1)
}

// narrow returns the first n columns of x.
func (c *kernelCase) narrow(b *kernels.Builder, n int) kernels.Value { return b.View(c.x(b), 0, n) }

// norm returns the weight of a norm.
func (c *kernelCase) norm() kernels.Tensor { return randomTensor(c.cols) }

// inputRows is how many rows of activations differ.
const inputRows = 64

func randomTensor(shape ...int) kernels.Tensor {
	t := kernels.Tensor{Name: "random", DType: quant.F32, Shape: shape}
	t.Data = make([]byte, 4*t.Elems())
	random, row := rand.New(rand.NewPCG(2, 3)), make([]float32, t.Elems())
	for i := range row {
		row[i] = float32(random.NormFloat64())
	}
	if err := quant.Quantize(quant.F32, t.Data, row, nil); err != nil {
		panic(fmt.Sprintf("BUG: %v", err))
	}
	return t
}

// kernelWeights holds the weights of the last case, for the next often has the same.
type kernelWeights struct {
	buf        *kernels.Buf
	dtype      quant.DType
	outs, cols int
}

func (w *kernelWeights) free() {
	if w.buf != nil {
		w.buf.Free()
		w.buf = nil
	}
}

// poolBytes is what weights and caches spread over, so that each repetition of an
// operation reads memory, not the last cache. Small ones are repeated maxCopies times.
const (
	poolBytes = 256 << 20
	maxCopies = 128
)

// of returns copies of a weight [outs, cols] in one piece of memory, as many as fill
// poolBytes but at most most; they are valid until the next call or free.
func (w *kernelWeights) of(d quant.DType, outs, cols, most int) ([]kernels.Tensor, error) {
	bytes := outs * d.RowBytes(cols)
	if w.buf == nil || w.dtype != d || w.outs != outs || w.cols != cols {
		if err := w.make(d, outs, cols, min(max(1, poolBytes/bytes), maxCopies)); err != nil {
			return nil, err
		}
	}
	var out []kernels.Tensor
	for data := range slices.Chunk(w.buf.Bytes(), bytes) {
		if len(out) < most {
			out = append(out, kernels.Tensor{Name: "weight", DType: d, Shape: []int{outs, cols}, Data: data})
		}
	}
	return out, nil
}

func (w *kernelWeights) make(d quant.DType, outs, cols, copies int) (err error) {
	w.free()
	if w.buf, err = kernels.NewBuf(copies * outs * d.RowBytes(cols)); err != nil {
		return err
	}
	w.dtype, w.outs, w.cols = d, outs, cols
	if quant.CanQuantize(d) {
		return fill(w.buf.Bytes(), quant.Tensor{Name: "weight", DType: d, Shape: []int{copies * outs, cols}}, tileRows)
	}
	random := rand.New(rand.NewPCG(4, 5))
	for i := range w.buf.Bytes() {
		w.buf.Bytes()[i] = byte(random.Uint32()) & 0x3f // an f16 scale of such bytes is below 2
	}
	return nil
}

// kernelRun is a case on a table: a program that repeats the operation, and its times.
type kernelRun struct {
	c       *kernelCase
	table   *kernels.Table
	act     kernels.Activations
	program *kernels.Program
	runner  *kernels.Runner
	batch   kernels.Batch
	counted []int // instructions that are measured
	before  uint64
	times   []time.Duration // of one repetition, mean of a run
}

// Of operations that read no weights, repeats is how often a program repeats one; of
// the others a run's products take at most maxFLOPs, but those of a single one.
const (
	repeats          = 8
	maxFLOPs         = 32e9
	maxReferenceFLOP = 1e8
)

func newKernelRun(c *kernelCase, t *kernels.Table, activations string, weights *kernelWeights) (*kernelRun, error) {
	act, err := parseActivations(activations, t)
	if err != nil {
		return nil, err
	}
	r := &kernelRun{c: c, table: t, act: act}
	if c.dtype == kernels.PackBF16 || c.dtype == kernels.PackInt8 {
		r.act = map[quant.DType]kernels.Activations{kernels.PackBF16: kernels.ActBF16, kernels.PackInt8: kernels.ActInt8}[c.dtype]
	}
	if err := r.build(weights); err != nil {
		return nil, err
	}
	r.makeBatch()
	seqs, blocks := len(r.batch.SeqLen), 0
	if len(r.program.Layers) > 0 {
		blocks = len(r.batch.Tables)
	}
	limits := kernels.Limits{Tokens: c.rows, LogitRows: c.rows, Seqs: seqs, Blocks: blocks}
	if r.runner, err = kernels.NewRunner(r.program, t, limits); err != nil {
		r.program.Close()
		return nil, err
	}
	return r, r.warm()
}

func (r *kernelRun) close() {
	r.runner.Close()
	r.program.Close()
}

// build makes the program.
func (r *kernelRun) build(weights *kernelWeights) error {
	c := r.c
	tensors, err := r.weights(weights)
	if err != nil {
		return err
	}
	c.shared = -1
	b := kernels.NewBuilder(r.act, r.cacheType())
	var y kernels.Value
	for i, w := range tensors {
		y = c.op.build(c, b, w, i)
	}
	b.Output(y)
	r.program = b.Program()
	code := r.program.Instrs[len(r.program.Instrs)-1-c.op.after].Op
	for i, in := range r.program.Instrs {
		if in.Op == code {
			r.counted = append(r.counted, i)
		}
	}
	r.counted = r.counted[max(0, len(r.counted)-len(tensors)):] // without the inputs' own
	return nil
}

func (r *kernelRun) cacheType() kernels.KVType {
	return map[quant.DType]kernels.KVType{quant.F32: kernels.KVF32, quant.Q8_0: kernels.KVQ8_0}[r.c.dtype] // else KVBF16
}

// weights returns a tensor for each repetition, the empty one where the operation has no
// weights.
func (r *kernelRun) weights(weights *kernelWeights) ([]kernels.Tensor, error) {
	c := r.c
	switch {
	case c.op.types == packType:
		d := map[quant.DType]quant.DType{kernels.PackBF16: quant.BF16, kernels.PackInt8: quant.Q8_0}[c.dtype]
		all, err := weights.of(d, 16, c.cols, 1)
		return slices.Repeat(all, repeats), err
	case c.op.types == weightType && c.op.outs:
		return weights.of(c.dtype, c.outs, c.cols, r.most(2*float64(c.rows)*float64(c.outs)*float64(c.cols)))
	case c.op.types == weightType:
		return weights.of(c.dtype, embedRows, c.cols, repeats)
	case c.op.types == cacheType:
		flops := 4 * float64(c.rows) * float64(c.context) * float64(c.cols)
		return make([]kernels.Tensor, max(1, min(int(poolBytes/c.cacheNeed()), maxCopies, r.most(flops)))), nil
	}
	return make([]kernels.Tensor, repeats), nil
}

// embedRows is the vocabulary of the embedding that is measured.
const embedRows = 4096

// most returns how often a run repeats an operation of some FLOPs.
func (r *kernelRun) most(flops float64) int {
	budget := maxFLOPs
	if r.table == kernels.Reference {
		budget = maxReferenceFLOP
	}
	return max(1, int(budget/flops))
}

// makeBatch makes rows sequences of one row at the end of their context each, or one
// sequence that ends with them.
func (r *kernelRun) makeBatch() {
	c, b := r.c, &r.batch
	seqs, each := 1, c.rows
	if c.op.decode {
		seqs, each = c.rows, 1
	}
	context := each
	if c.op.types == cacheType {
		context = c.context
	}
	b.RowStart, b.TableStart = []int32{0}, []int32{0}
	for s := range seqs {
		for p := context - each; p < context; p++ {
			b.Tokens = append(b.Tokens, int32(len(b.Tokens)%inputRows))
			b.Positions = append(b.Positions, int32(p))
			b.Slots = append(b.Slots, int32(s*blocksFor(context)*kernels.BlockTokens+p))
			b.LogitRows = append(b.LogitRows, int32(len(b.LogitRows)))
		}
		for i := range blocksFor(context) {
			b.Tables = append(b.Tables, int32(s*blocksFor(context)+i))
		}
		b.RowStart = append(b.RowStart, int32(len(b.Tokens)))
		b.SeqLen = append(b.SeqLen, int32(context))
		b.TableStart = append(b.TableStart, int32(len(b.Tables)))
	}
}

// warm brings weights and caches into memory: pages that were never written would all
// be one, in the processor's cache.
func (r *kernelRun) warm() error {
	if err := r.runner.Run(&r.batch); err != nil {
		return err
	}
	if len(r.program.Layers) > 0 {
		last := len(r.batch.Tables) - 1
		for i := range last {
			r.runner.CopyBlock(last, i)
		}
	}
	r.runner.Profile(true)
	return nil
}

func (r *kernelRun) run() error {
	start := time.Now()
	err := r.runner.Run(&r.batch)
	took := time.Since(start)
	if nanos := r.runner.Nanos(); nanos != nil {
		var total uint64
		for _, i := range r.counted {
			total += nanos[i]
		}
		took, r.before = time.Duration(total-r.before), total
	}
	r.times = append(r.times, took/time.Duration(len(r.counted)))
	return err
}
