package quant

import (
	"fmt"
	"strings"
)

// DType is the storage type of a tensor's elements. The numbers are ggml's, so a
// GGUF file's type field is a DType as it lies.
type DType uint32

// The storage types that Ingot reads. The gaps are types that ggml retired.
const (
	F32     DType = 0
	F16     DType = 1
	Q4_0    DType = 2
	Q4_1    DType = 3
	Q5_0    DType = 6
	Q5_1    DType = 7
	Q8_0    DType = 8
	Q8_1    DType = 9
	Q2_K    DType = 10
	Q3_K    DType = 11
	Q4_K    DType = 12
	Q5_K    DType = 13
	Q6_K    DType = 14
	Q8_K    DType = 15
	IQ2_XXS DType = 16
	IQ2_XS  DType = 17
	IQ3_XXS DType = 18
	IQ1_S   DType = 19
	IQ4_NL  DType = 20
	IQ3_S   DType = 21
	IQ2_S   DType = 22
	IQ4_XS  DType = 23
	I8      DType = 24
	I16     DType = 25
	I32     DType = 26
	I64     DType = 27
	F64     DType = 28
	IQ1_M   DType = 29
	BF16    DType = 30
	TQ1_0   DType = 34
	TQ2_0   DType = 35
	MXFP4   DType = 39
	NVFP4   DType = 40
)

// layout says how a type stores its elements: in blocks of elems elements, each
// block of bytes bytes.
type layout struct {
	name         string
	elems, bytes int
}

var layouts = map[DType]layout{
	F32: {"F32", 1, 4}, F16: {"F16", 1, 2}, BF16: {"BF16", 1, 2}, F64: {"F64", 1, 8},
	I8: {"I8", 1, 1}, I16: {"I16", 1, 2}, I32: {"I32", 1, 4}, I64: {"I64", 1, 8},
	Q4_0: {"Q4_0", 32, 18}, Q4_1: {"Q4_1", 32, 20}, Q5_0: {"Q5_0", 32, 22}, Q5_1: {"Q5_1", 32, 24},
	Q8_0: {"Q8_0", 32, 34}, Q8_1: {"Q8_1", 32, 36},
	Q2_K: {"Q2_K", 256, 84}, Q3_K: {"Q3_K", 256, 110}, Q4_K: {"Q4_K", 256, 144},
	Q5_K: {"Q5_K", 256, 176}, Q6_K: {"Q6_K", 256, 210}, Q8_K: {"Q8_K", 256, 292},
	IQ1_S: {"IQ1_S", 256, 50}, IQ1_M: {"IQ1_M", 256, 56},
	IQ2_XXS: {"IQ2_XXS", 256, 66}, IQ2_XS: {"IQ2_XS", 256, 74}, IQ2_S: {"IQ2_S", 256, 82},
	IQ3_XXS: {"IQ3_XXS", 256, 98}, IQ3_S: {"IQ3_S", 256, 110},
	IQ4_NL: {"IQ4_NL", 32, 18}, IQ4_XS: {"IQ4_XS", 256, 136},
	TQ1_0: {"TQ1_0", 256, 54}, TQ2_0: {"TQ2_0", 256, 66}, MXFP4: {"MXFP4", 32, 17}, NVFP4: {"NVFP4", 64, 36},
}

// Known reports whether d is a type in this file's table.
func (d DType) Known() bool { _, ok := layouts[d]; return ok }

// String returns the type's ggml name, such as "Q4_K".
func (d DType) String() string {
	if l, ok := layouts[d]; ok {
		return l.name
	}
	return fmt.Sprintf("DType(%d)", uint32(d))
}

// BlockElems returns how many elements one block holds (1 for plain types, 0 for
// an unknown type).
func (d DType) BlockElems() int { return layouts[d].elems }

// BlockBytes returns how many bytes one block takes (0 for an unknown type).
func (d DType) BlockBytes() int { return layouts[d].bytes }

// RowBytes returns the bytes of a row of n elements; n must be a whole number of
// blocks.
func (d DType) RowBytes(n int) int {
	l := layouts[d]
	if l.elems == 0 || n%l.elems != 0 {
		panic(fmt.Sprintf("BUG: a row of %d elements is not a whole number of %v blocks", n, d))
	}
	return n / l.elems * l.bytes
}

// ParseDType returns the type of a ggml name, whatever its letter case.
func ParseDType(name string) (DType, error) {
	for d, l := range layouts {
		if strings.EqualFold(l.name, name) {
			return d, nil
		}
	}
	return 0, fmt.Errorf("unknown tensor type %q", name)
}
