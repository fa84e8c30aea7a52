package kernels

import "github.com/ingot-llm/ingot/quant"

// BlockTokens is the number of tokens whose keys and values one KV block holds.
const BlockTokens = 16

// The forms of packed activations, beside quant's types for weights. Their layout is
// private to a table.
const (
	PackBF16 quant.DType = 1000 // rounded to bf16
	PackInt8 quant.DType = 1001 // int8 with a scale per 32 columns
)

// Per says what the number of rows of an operand is proportional to.
type Per uint32

const (
	Fixed    Per = iota // a constant: weights and caches
	PerToken            // the T tokens of a batch
	PerLogit            // the R rows whose logits are wanted
	PerSeq              // the S sequences
)

func (p Per) String() string { return [...]string{"", "T", "R", "S"}[p] }

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
	tables, logitRows            uintptr
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

// abi is INGOT_ABI: the library refuses a caller of another one.
const abi = 2

// nativeErrors are the library's INGOT_ERR_* codes, negated.
var nativeErrors = [...]string{
	1: "the library was built for another version of the boundary",
	2: "out of memory",
	3: "unknown operation, type or shape",
	4: "this machine cannot run the table",
}
