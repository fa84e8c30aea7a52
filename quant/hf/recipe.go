package hf

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/relayout"
)

// recipe says, as plain data, how a tensor is made: moves from source tensors, or
// literal values, or MXFP4 blocks and scales.
type recipe struct {
	parts  []part
	plus   float32   // added to every element (the tensor is F32 then)
	values []float32 // literal
	mxfp4  *mxfp4
}

// part is one source tensor's share.
type part struct {
	from quant.Tensor
	move relayout.Move
}

// asItLies reports whether the tensor is its one source, byte for byte.
func (r recipe) asItLies(t quant.Tensor) bool {
	return len(r.parts) == 1 && r.plus == 0 && r.parts[0].from.DType == t.DType && r.parts[0].move.Trivial()
}

// fill makes the tensor t in dst, which has exactly its bytes.
func (r recipe) fill(t quant.Tensor, dst []byte) {
	switch {
	case r.mxfp4 != nil:
		r.mxfp4.fill(dst)
	case r.values != nil:
		putFloats(dst, r.values)
	default:
		for _, p := range r.parts {
			src := p.from.Data
			if p.from.DType != t.DType {
				src = widened(p.from)
			}
			p.move.Copy(dst, src, t.DType.BlockBytes())
		}
	}
	if r.plus != 0 {
		add(dst, r.plus)
	}
}

// widened returns a float tensor's elements as F32 bytes. It is for the small
// tensors (norms, biases) only.
func widened(t quant.Tensor) []byte {
	f := make([]float32, t.Elems())
	quant.Dequantize(t.DType, f, t.Data)
	out := make([]byte, 4*len(f))
	putFloats(out, f)
	return out
}

func putFloats(dst []byte, values []float32) {
	for i, v := range values {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

func add(data []byte, plus float32) {
	for i := 0; i < len(data); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(data[i:])) + plus
		binary.LittleEndian.PutUint32(data[i:], math.Float32bits(v))
	}
}

// size returns a tensor's bytes by type and shape.
func size(t quant.Tensor) int { return t.Rows() * t.DType.RowBytes(t.Cols()) }

// checkFloat refuses types that no weight of a supported family has.
func checkFloat(t quant.Tensor) error {
	switch t.DType {
	case quant.F32, quant.F16, quant.BF16:
		return nil
	}
	return fmt.Errorf("tensor %q has type %v, want F32, F16 or BF16", t.Name, t.DType)
}
