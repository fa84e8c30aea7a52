package kernels

import (
	"fmt"

	"github.com/ingot-llm/ingot/quant"
)

// BlockTokens is the number of tokens whose keys and values one KV block holds.
const BlockTokens = 16

// The forms of packed activations, beside quant's types for weights. Their layout is
// private to a table.
const (
	PackBF16    quant.DType = 1000 // rounded to bf16
	PackInt8    quant.DType = 1001 // int8 with a scale per 32 columns
	PackRows    quant.DType = 1002 // gradients in rows, rounded to bf16
	PackCols    quant.DType = 1003 // gradients in columns, rounded to bf16
	PackColsF32 quant.DType = 1004 // gradients in columns, f32
)

// Per says what the number of rows of an operand is proportional to.
type Per uint32

const (
	Fixed    Per = iota // a constant: weights and caches
	PerToken            // the T tokens of a batch
	PerLogit            // the R rows whose logits are wanted
	PerSeq              // the S sequences
)

// windowRows is how many rows of logits the loss takes at a time, so that all of them
// never lie in memory together: W is read once per window, so that it should not be few.
// A half window has half as many.
const (
	windowRows = 512
	halfWindow = Per(1 << 7)
)

// window returns the Per of rows i*n ... of p's, up to n of them, where n is the rows of
// a window, or of a half one.
func (p Per) window(i int, half bool) Per {
	if half {
		p |= halfWindow
	}
	return p | Per(i+1)<<8
}

// split returns what p counts, and which window of it: -1 for all rows.
func (p Per) split() (unit Per, window int) { return p & (halfWindow - 1), int(p>>8) - 1 }

// windowRows returns the rows of p's window.
func (p Per) windowRows() int {
	if p&halfWindow != 0 {
		return windowRows / 2
	}
	return windowRows
}

// of returns how many of n units p counts.
func (p Per) of(n int) int {
	if _, w := p.split(); w >= 0 {
		return min(max(n-w*p.windowRows(), 0), p.windowRows())
	}
	return n
}

// String returns the letter of the unit, for a window with its number.
func (p Per) String() string {
	unit, window := p.split()
	name := [...]string{"", "T", "R", "S"}[unit]
	if window >= 0 {
		name += fmt.Sprint(window)
	}
	return name
}

// Instr is one operation of a program, as the native library reads it (ingot_instr in
// csrc/ingot.h). Out and In are operands' numbers, -1 where absent; the meaning of I
// and F is in the operation's file.
type Instr struct {
	Op  uint32
	_   uint32
	Out [2]int32
	In  [6]int32
	I   [8]int32
	F   [4]float32
}

// The structs below mirror csrc/ingot.h field by field (TestLayout compares them).
// Addresses are plain integers, since all that they point to is native memory or kept
// alive by the Program: the garbage collector has no part in it.

type nativeOperand struct {
	data               uintptr
	dtype              quant.DType
	per                Per
	rows, cols, stride int64
}

type nativeBatch struct {
	tokensN, logitsN, seqsN      int32
	_                            int32
	tokens, positions, slots     uintptr
	rowStart, seqLen, tableStart uintptr
	tables, logitRows, targets   uintptr
	adapters                     uintptr
}

type runArgs struct {
	lib, instrs, operands, batch uintptr
	instrsN, table, failed       int32
	_                            int32
	nanos                        uintptr
}

type openArgs struct {
	lib                uintptr
	abi, threads, nice int32
	tables             uint32
	features           uint64
}

type packSizeArgs struct {
	rows, cols int64
	dtype      quant.DType
	table      int32
	bytes      int64
}

type repackArgs struct {
	lib, from, to uintptr
	rows, stride  int64
	dtype         quant.DType
	interleaved   int32
}

type nativeRow struct {
	x, high, sums uintptr
	n             int64
	total, moment float64
	scale, top    float32
	moments, bad  int32
}

type readRowsArgs struct {
	lib, rows uintptr
	n         int64
	table     int32
	_         int32
}

type limitsArgs struct {
	lib, buffer              uintptr
	bytes                    int64
	threads, millis          int32
	onlyRead                 int32
	_                        int32
	readBytesS               float64
	f32Flops, bf16Flops      float64
	int8Ops                  float64
	amxBf16Flops, amxInt8Ops float64
}

type adamwArgs struct {
	lib                uintptr
	master, m, v, grad uintptr
	rounded            uintptr
	n                  int64
	table              int32
	_                  int32
	lr, beta1, beta2   float32
	eps, decay, scale  float32
	correct1, correct2 float32
}

type squaresArgs struct {
	lib, x uintptr
	n      int64
	table  int32
	_      int32
	sum    float64
}

// abi is INGOT_ABI: the library refuses a caller of another one.
const abi = 4

// nativeErrors are the library's INGOT_ERR_* codes, negated.
var nativeErrors = [...]string{
	1: "the library was built for another version of the boundary",
	2: "out of memory",
	3: "unknown operation, type or shape",
	4: "this machine cannot run the table",
}
