package kernels

import (
	"math"

	"github.com/ingot-llm/ingot/quant"
)

// ROUND: out0 [n, C] = in0 rounded to bf16, half to even, as rows of BF16 that a product
// can read as a weight.
//
//	in0 [n, C] f32
var opRound = register(op{name: "round", code: 42, ref: roundRef})

func roundRef(s *step, in *Instr) {
	for r := range s.count(in.Out[0]) {
		quant.F32sToBF16s(view[uint16](s.raw(in.Out[0], r), s.operands[in.Out[0]].Cols), s.row(in.In[0], r))
	}
}

// Orthogonalizer brings matrices of one shape near to the orthogonal matrix next to them:
// U V^T of the singular value decomposition U S V^T, up to singular values between about
// 0.7 and 1.2. It is Muon's Newton-Schulz iteration (Jordan et al. 2024) in bf16,
//
//	X = X / (|X| + 1e-7)    five times: A = X X^T, X = a X + (b A + c A^2) X
//
// with a, b, c = 3.4445, -4.7750, 2.0315, for no more rows than columns. One goroutine.
type Orthogonalizer struct {
	X       []float32 // [rows, cols] native: the input; Run changes it
	program *Program
	runner  *Runner
}

const newtonSchulzSteps = 5

// NewOrthogonalizer returns one for matrices [rows, cols], rows <= cols, on table t.
func NewOrthogonalizer(t *Table, rows, cols int) (*Orthogonalizer, error) {
	if rows < 1 || rows > cols {
		misfit("orthogonalizing %d x %d: want no more rows than columns", rows, cols)
	}
	b := &newtonSchulz{NewBuilder(ActBF16, KVBF16), rows}
	o := &Orthogonalizer{X: b.native(rows * cols)}
	x := b.constant("X", quant.F32, rows, cols, bytesOf(o.X))
	for range newtonSchulzSteps {
		x = b.step(x)
	}
	b.Output(x)
	o.program = b.Program()
	var err error
	if o.runner, err = NewRunner(o.program, t, Limits{Tokens: 1, Seqs: 1}); err != nil {
		o.program.Close()
		return nil, err
	}
	return o, nil
}

// Close frees the memory.
func (o *Orthogonalizer) Close() {
	o.runner.Close()
	o.program.Close()
}

// Run returns the result for X [rows, cols], valid until the next call.
func (o *Orthogonalizer) Run() ([]float32, error) {
	scale := float32(1 / (math.Sqrt(o.runner.table.SumSquares(o.X)) + 1e-7))
	for i := range o.X {
		o.X[i] *= scale
	}
	err := o.runner.Run(&Batch{Tokens: []int32{0}, Positions: []int32{0}, RowStart: []int32{0, 1}, SeqLen: []int32{1}})
	result, _, _ := o.runner.Output()
	return result, err
}

// newtonSchulz builds the iteration on matrices of rows rows.
type newtonSchulz struct {
	*Builder
	rows int
}

func (b *newtonSchulz) matrix(d quant.DType, cols int) Value {
	return b.add(Operand{Kind: Activation, DType: d, Per: Fixed, Rows: b.rows, Cols: cols})
}

// op1 emits an operation with one result [rows, cols] of type d.
func (b *newtonSchulz) op1(o *op, d quant.DType, cols int, f float32, in ...Value) Value {
	y := b.matrix(d, cols)
	b.emit(o, Instr{Out: results(y), In: reads(in...), F: [4]float32{f}})
	return y
}

// outer returns x y^T for rows y rounded to BF16.
func (b *newtonSchulz) outer(x, y Value) Value {
	return b.op1(opLinear, quant.F32, b.rows, 0, b.op1(opPack, PackBF16, b.at(x).Cols, 0, x), y, -1)
}

func (b *newtonSchulz) step(x Value) Value {
	cols := b.at(x).Cols
	rounded := b.op1(opRound, quant.BF16, cols, 0, x)
	a := b.outer(x, rounded)
	square := b.outer(a, b.op1(opRound, quant.BF16, b.rows, 0, a))
	factor := b.op1(opAdd, quant.F32, b.rows, 2.0315, b.op1(opScale, quant.F32, b.rows, -4.7750, a), square)
	packed := b.op1(opPackGrad, PackRows, b.rows, 0, factor)
	return b.op1(opLinearDX, quant.F32, cols, 0, b.op1(opScale, quant.F32, cols, 3.4445, x), packed, rounded)
}
