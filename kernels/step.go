package kernels

import (
	"unsafe"

	"github.com/ingot-llm/ingot/quant"
)

// step is one run of a program as the reference sees it: the batch and the memory of
// every operand.
type step struct {
	batch    Batch
	operands []Operand
	strides  []int
	memory   [][]byte // by operand, from its first row
}

// count returns the number of rows that operand v has in this step.
func (s *step) count(v int32) int {
	o := &s.operands[v]
	return s.units(o.Per) * o.Rows
}

func (s *step) units(p Per) int {
	switch unit, _ := p.split(); unit {
	case PerToken:
		return p.of(len(s.batch.Tokens))
	case PerLogit:
		return p.of(len(s.batch.LogitRows))
	case PerSeq:
		return p.of(len(s.batch.SeqLen))
	}
	return 1
}

// row returns row r of an f32 operand; ids of one of I32.
func (s *step) row(v int32, r int) []float32 { return rowOf[float32](s, v, r) }
func (s *step) ids(v int32, r int) []int32   { return rowOf[int32](s, v, r) }

func rowOf[T float32 | int32](s *step, v int32, r int) []T {
	cols := s.operands[v].Cols
	b := s.memory[v][r*s.strides[v]:][:4*cols]
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), cols)
}

// raw returns row r of a weight, or block r of a cache, as it lies.
func (s *step) raw(v int32, r int) []byte {
	return s.memory[v][r*s.strides[v]:][:s.strides[v]]
}

// vector returns all of an f32 weight, nil where v is absent.
func (s *step) vector(v int32) []float32 {
	if v < 0 {
		return nil
	}
	o := &s.operands[v]
	return view[float32](s.memory[v], o.Rows*o.Cols)
}

// dequantize writes row r of weight v to dst.
func (s *step) dequantize(dst []float32, v int32, r int) {
	quant.Dequantize(s.operands[v].DType, dst, s.raw(v, r))
}
