package kernels

import (
	"unsafe"

	"github.com/ingot-llm/ingot/quant"
)

// PACK: out0 = in0 in the form in which a product reads it.
//
//	out0 packed, the rows and columns of in0 ; in0 [n, K] f32
//
// PackBF16 rounds to bf16, half to even. PackInt8 gives every 32 columns the scale
// absmax/127 and rounds x * (127/absmax) half to even (quant.QuantizeActs). The layout
// is each table's own; the reference's rows are f32 values already rounded, or int8
// values followed by the scales in f32.
var opPack = register(op{name: "pack", code: 4, ref: packRef})

func init() { opPack.grad = packGradient }

func packRef(s *step, in *Instr) {
	cols := s.operands[in.Out[0]].Cols
	sums := make([]int32, (cols+quant.ActBlock-1)/quant.ActBlock)
	for r := range s.count(in.Out[0]) {
		x, y := s.row(in.In[0], r), s.raw(in.Out[0], r)
		if s.operands[in.Out[0]].DType == PackInt8 {
			q, scale := packedInt8(y, cols)
			quant.QuantizeActs(x, q, scale, sums)
			continue
		}
		rounded := packedBF16(y, cols)
		for i, v := range x {
			rounded[i] = quant.BF16ToF32(quant.F32ToBF16(v))
		}
	}
}

// packed reports whether d is a form of packed activations.
func packed(d quant.DType) bool { return d >= PackBF16 && d <= PackColsF32 }

// packedRow returns the bytes of a row in the reference's layout.
func packedRow(cols int, d quant.DType) int {
	if d == PackInt8 {
		return cols + cols/quant.ActBlock*4
	}
	return 4 * cols
}

func packedBF16(row []byte, cols int) []float32 { return view[float32](row, cols) }

func packedInt8(row []byte, cols int) (q []int8, scale []float32) {
	q = unsafe.Slice((*int8)(unsafe.Pointer(&row[0])), cols)
	return q, view[float32](row[cols:], cols/quant.ActBlock)
}

// pack returns x in the form d, made once for all products that read it.
func (b *Builder) pack(x Value, d quant.DType) Value {
	key := packKey{x, d}
	if v, ok := b.packs[key]; ok {
		return v
	}
	o := b.at(x)
	y := b.add(Operand{Kind: Activation, DType: d, Per: o.Per, Rows: o.Rows, Cols: o.Cols})
	b.emit(opPack, Instr{Out: results(y), In: reads(x)})
	b.packs[key] = y
	return y
}
