package param

import (
	"fmt"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// Precision is what the matrices' compute copies are: F32 the masters themselves, BF16
// copies rounded half to even. Vectors (norms, biases) are F32 in either.
type Precision quant.DType

const (
	F32  = Precision(quant.F32)
	BF16 = Precision(quant.BF16)
)

func (p Precision) String() string { return strings.ToLower(quant.DType(p).String()) }

// ParsePrecision returns the precision of a name on the command line.
func ParsePrecision(name string) (Precision, error) {
	for _, p := range []Precision{F32, BF16} {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("precision %q is unknown: want bf16 or f32", name)
}

// Param is one tensor of the model, under its GGUF name; Shape is outermost first. A
// frozen one has neither Master nor Grad, and Compute is its Source's tensor as it lies.
type Param struct {
	Name   string
	Shape  []int
	Master []float32 // 64-byte aligned, as Grad is
	Grad   []float32
	// Compute is what the program reads. In F32 its Data is Master's memory.
	Compute quant.Tensor
}

// Elems returns the number of elements.
func (p *Param) Elems() int { return p.Compute.Elems() }

// Frozen reports whether the parameter stays as it is.
func (p *Param) Frozen() bool { return p.Master == nil }

// Matrix reports whether the parameter is a matrix or a stack of them, which bf16
// precision rounds and weight decay shrinks; a stack of biases is none.
func (p *Param) Matrix() bool { return isMatrix(p.Name, p.Shape) }

// IsMatrix is Param.Matrix of a tensor.
func IsMatrix(t quant.Tensor) bool { return isMatrix(t.Name, t.Shape) }

func isMatrix(name string, shape []int) bool {
	return len(shape) > 1 && !strings.HasSuffix(name, ".bias")
}

// Rounded returns the bf16 copy of Master that the program computes with, or nil where
// it computes with Master.
func (p *Param) Rounded() []uint16 {
	if p.Frozen() || p.Compute.DType != quant.BF16 {
		return nil
	}
	return words(p.Compute.Data)
}

// Round makes a Compute in bf16 follow a Master that was changed.
func (p *Param) Round() {
	if to := p.Rounded(); to != nil {
		quant.F32sToBF16s(to, p.Master)
	}
}
