// Package gguf reads and writes GGUF, the single-file model format of ggml.
//
//	"GGUF"  version u32 (3)  tensor count u64  key count u64
//	keys:    key string, type u32, value                     (a string is a u64 length, then bytes)
//	         an array value is its element type u32, a count u64, the elements
//	tensors: name string, dimension count u32, dimensions u64 (innermost first), type u32, offset u64
//	padding to the alignment; then the tensors' bytes, each padded to the alignment
//
// Everything is little-endian; offsets count from the first byte after the padding.
// Version 2 differs from 3 in nothing that a little-endian reader sees.
package gguf

// magic opens every GGUF file.
const magic = "GGUF"

// defaultAlignment is the padding unit of a file that has no key general.alignment.
const defaultAlignment = 32

const (
	alignmentKey = "general.alignment"
	tokenizerKey = "tokenizer.huggingface.json"
)

// Limits that no real model comes near; they bound what a hostile file can cost.
const (
	maxString    = 16 << 20
	maxTokenizer = 256 << 20 // of the one key that holds a whole tokenizer.json
	maxKeys      = 65_536
	maxTensors   = 262_144
	maxDims      = 4
	maxAlignment = 1 << 20
)

// kind is the type number of a metadata value.
type kind uint32

const (
	kindU8 kind = iota
	kindI8
	kindU16
	kindI16
	kindU32
	kindI32
	kindF32
	kindBool
	kindString
	kindArray
	kindU64
	kindI64
	kindF64
)

// kindBytes holds the size of each kind's value, the least one for a string (its
// length field); an array has none.
var kindBytes = [...]int{
	kindU8: 1, kindI8: 1, kindU16: 2, kindI16: 2, kindU32: 4, kindI32: 4, kindF32: 4,
	kindBool: 1, kindString: 8, kindU64: 8, kindI64: 8, kindF64: 8,
}
