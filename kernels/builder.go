package kernels

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/ingot-llm/ingot/quant"
)

// Tensor is a weight; the zero Tensor (nil Data) is an absent one.
type Tensor = quant.Tensor

// Activations is the form in which activations meet block-quantized weights. Float
// weights are not concerned: F32 ones meet f32, F16 and BF16 ones meet bf16.
type Activations uint8

const (
	ActBF16 Activations = iota // weights and activations rounded once to bf16
	ActInt8                    // activations in int8 with a scale per 32
)

// String returns the name of the command line's --activations.
func (a Activations) String() string { return [...]string{ActBF16: "bf16", ActInt8: "int8"}[a] }

// Builder makes a Program: each method appends the instructions of one operation and
// returns its result. Rows of a result follow those of its input: per token, per
// wanted logit after Rows, per sequence after Pool. A shape that does not fit panics
// with a *ShapeError. One goroutine.
type Builder struct {
	act     Activations
	kv      KVType
	p       Program
	packs   map[packKey]Value
	tables  map[string]Value // rotary tables by their arguments
	weights map[weightKey]Value
	grads   *gradients // nil unless the program trains

	lowRank     func(w Tensor) LowRank // nil without adapters
	adapterRows map[Per]Value          // the adapter of each row, by what rows are counted by

	observed          func(w Tensor) Observation // nil without sums of what products read
	squares, products map[input]Value            // the sums
}

type packKey struct {
	x     Value
	dtype quant.DType
}

// weightKey tells weights apart: two may begin at the same byte, such as a fused
// projection and its first part.
type weightKey struct {
	data       *byte
	dtype      quant.DType
	rows, cols int
	f32        bool
}

func keyOf(w Tensor, f32 bool) weightKey {
	return weightKey{&w.Data[0], w.DType, w.Rows(), w.Cols(), f32}
}

// NewBuilder returns a Builder whose block-quantized weights meet activations of the
// form act and whose caches have the type kv.
func NewBuilder(act Activations, kv KVType) *Builder {
	return &Builder{
		act: act, kv: kv, p: Program{Output: -1, observed: map[string]Value{}},
		packs: map[packKey]Value{}, tables: map[string]Value{}, weights: map[weightKey]Value{}, squares: map[input]Value{}, products: map[input]Value{},
	}
}

// Output marks v as the program's result, which stays readable after a run.
func (b *Builder) Output(v Value) { b.p.Output = v }

// Close frees what an unfinished Builder has made. After Program it is the Program's.
func (b *Builder) Close() { b.p.Close() }

// Program returns the finished program. The Builder is of no use afterwards.
func (b *Builder) Program() *Program {
	if b.p.Output < 0 {
		panic("BUG: a program without an output")
	}
	if b.at(b.p.Output).Kind != Activation {
		panic("BUG: a program's output is a whole activation, not a view or a weight")
	}
	return &b.p
}

// View returns columns from ... from+cols-1 of x, an activation of f32, in x's memory.
func (b *Builder) View(x Value, from, cols int) Value {
	o := *b.at(x)
	if o.Per == Fixed || o.DType != quant.F32 || from < 0 || cols < 1 || from+cols > o.Cols {
		misfit("view: columns %d to %d of %s", from, from+cols, b.p.shape(int32(x)))
	}
	if o.Kind == View {
		from, x = from+o.From, o.Base
	}
	return b.add(Operand{Kind: View, DType: quant.F32, Per: o.Per, Rows: o.Rows, Cols: cols, Base: x, From: from})
}

func (b *Builder) at(v Value) *Operand { return &b.p.Operands[v] }

func (b *Builder) add(o Operand) Value {
	b.p.Operands = append(b.p.Operands, o)
	return Value(len(b.p.Operands) - 1)
}

// like returns a new f32 activation with x's rows and cols columns.
func (b *Builder) like(x Value, cols int) Value {
	return b.add(Operand{Kind: Activation, DType: quant.F32, Per: b.at(x).Per, Rows: b.at(x).Rows, Cols: cols})
}

// emit appends in as an instruction of o.
func (b *Builder) emit(o *op, in Instr) {
	in.Op = o.code
	b.p.Instrs = append(b.p.Instrs, in)
}

// results and reads make the operand lists of an Instr.
func results(values ...Value) (out [2]int32) { fill(out[:], values); return }
func reads(values ...Value) (in [6]int32)    { fill(in[:], values); return }

func fill(dst []int32, values []Value) {
	for i := range dst {
		dst[i] = -1
	}
	for i, v := range values {
		dst[i] = int32(v)
	}
}

// weight returns w as it lies, in rows of its last dimension; -1 where it is absent.
func (b *Builder) weight(w Tensor) Value {
	if w.Data == nil {
		return -1
	}
	checkTensor(w)
	key := keyOf(w, false)
	if v, ok := b.weights[key]; ok {
		return v
	}
	b.weights[key] = b.constant(w.Name, w.DType, w.Rows(), w.Cols(), w.Data)
	return b.weights[key]
}

// f32 returns w as f32, widened into native memory where it is of another float type
// or does not lie at a multiple of 4; -1 where it is absent.
func (b *Builder) f32(w Tensor) Value {
	if w.Data == nil {
		return -1
	}
	checkTensor(w)
	key := keyOf(w, true)
	if v, ok := b.weights[key]; ok {
		return v
	}
	data := w.Data
	if w.DType != quant.F32 || address(data)%4 != 0 {
		data = b.widen(w)
	}
	b.weights[key] = b.constant(w.Name, quant.F32, w.Rows(), w.Cols(), data)
	return b.weights[key]
}

func (b *Builder) widen(w Tensor) []byte {
	if !quant.CanDequantize(w.DType) {
		misfit("%s: %v cannot be widened to F32", w.Name, w.DType)
	}
	wide := b.native(w.Elems())
	quant.Dequantize(w.DType, wide, w.Data)
	return bytesOf(wide)
}

// native returns n elements of memory that the program owns.
func (b *Builder) native(n int) []float32 {
	wide, err := take[float32](&b.p.owned, n)
	if err != nil {
		panic(fmt.Sprintf("BUG: %v", err)) // a few KiB: there is no machine to run on
	}
	return wide
}

func (b *Builder) constant(name string, d quant.DType, rows, cols int, data []byte) Value {
	return b.add(Operand{Name: name, Kind: Weight, DType: d, Rows: rows, Cols: cols, Data: data})
}

func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// ShapeError is what a Builder's method panics with when shapes do not fit, for a model
// file may hold tensors of any shape: whoever builds a program from one recovers it.
type ShapeError struct{ what string }

// Error names the operation, the weight and both shapes.
func (e *ShapeError) Error() string { return e.what }

func misfit(format string, args ...any) { panic(&ShapeError{fmt.Sprintf(format, args...)}) }

func checkTensor(w Tensor) {
	if len(w.Shape) == 0 || slices.Min(w.Shape) < 1 || !w.DType.Known() || w.Cols()%w.DType.BlockElems() != 0 {
		misfit("%s: %v of shape %v is no weight", w.Name, w.DType, w.Shape)
	}
	if want := w.Rows() * w.DType.RowBytes(w.Cols()); len(w.Data) != want {
		misfit("%s: %v of shape %v takes %d bytes, not %d", w.Name, w.DType, w.Shape, want, len(w.Data))
	}
}

// vector returns w as an f32 operand after checking that it has n elements; -1 where
// it is absent.
func (b *Builder) vector(operation string, w Tensor, n int) Value {
	if w.Data != nil && w.Elems() != n {
		misfit("%s: %s has shape %v, want %d elements", operation, w.Name, w.Shape, n)
	}
	return b.f32(w)
}

// need panics unless every value is f32 with n columns, or as many as the first where
// n is 0, and the same rows as the first.
func (b *Builder) need(operation string, n int, values ...Value) {
	first := b.at(values[0])
	if n == 0 {
		n = first.Cols
	}
	for _, v := range values {
		o := b.at(v)
		if o.DType != quant.F32 || o.Cols != n || o.Per != first.Per || o.Rows != first.Rows || o.Per == Fixed {
			misfit("%s: %s does not fit %s: want %d columns of F32",
				operation, b.p.shape(int32(v)), b.p.shape(int32(values[0])), n)
		}
	}
}

// sameKey makes a map key of floats, bit for bit.
func sameKey(values []float32, more float32) string {
	return string(bytesOf(append(slices.Clone(values), more)))
}
