package quant

import (
	"fmt"
	"math"
	"sync"
)

// codec is what the package can do with one storage type; a nil function means that
// it cannot. The functions of plain types (one element a block) take a whole row,
// those of block types one block.
type codec struct {
	decode func(dst []float32, src []byte) // of a plain type
	unpack func(b *block, src []byte)      // of a block type
	group  int                             // elements that share a scale, of a block type
	offset bool                            // whether unpack sets block.min

	// encode rounds src as ggml's reference does; search finds the scales that make
	// the sum of w*(x - value)^2 small.
	encode func(dst []byte, src []float32)
	search func(dst []byte, x, w []float64)
	limit  float32 // largest magnitude that encode and search take
	grid   grid    // of a block type that Feedback takes
}

// block is one block as integers: element i is scale[i/group]*q[i] - min[i/group].
// Every block type of ggml has this form.
type block struct {
	q          [256]int8
	scale, min [16]float32
}

// grid is what may stand beside a scale: the integers by the number under which they are
// stored, which of them is nearest to a value over its scale, and how a block's numbers are
// written, the scales left alone.
type grid struct {
	codes   []int8
	nearest func(v float64) uint8
	pack    func(dst []byte, q []uint8)
}

// integers is the grid of lo ... hi.
func integers(lo, hi int, pack func(dst []byte, q []uint8)) grid {
	g := grid{pack: pack, nearest: func(v float64) uint8 { return uint8(clampRound(v, float64(lo), float64(hi)) - float64(lo)) }}
	for q := lo; q <= hi; q++ {
		g.codes = append(g.codes, int8(q))
	}
	return g
}

// codecs is indexed by DType.
var codecs = [...]codec{
	F32:  {decode: decodeF32, encode: encodeF32, limit: math.MaxFloat32},
	F16:  {decode: decodeF16, encode: encodeF16, limit: maxF16},
	BF16: {decode: decodeBF16, encode: encodeBF16, limit: maxBF16},
	F64:  {decode: decodeF64},
	I8:   {decode: decodeI8},
	I16:  {decode: decodeI16},
	I32:  {decode: decodeI32},
	I64:  {decode: decodeI64},

	Q4_0: {unpack: unpackQ4_0, group: 32, encode: encodeQ4_0, search: searchQ4_0, limit: maxF16, grid: integers(-8, 7, packQ4_0)},
	Q4_1: {unpack: unpackQ4_1, group: 32, offset: true, encode: encodeQ4_1, search: searchQ4_1, limit: maxF16, grid: integers(0, 15, packQ4_1)},
	Q5_0: {unpack: unpackQ5_0, group: 32, encode: encodeQ5_0, search: searchQ5_0, limit: maxF16, grid: integers(-16, 15, packQ5_0)},
	Q5_1: {unpack: unpackQ5_1, group: 32, offset: true, encode: encodeQ5_1, search: searchQ5_1, limit: maxF16, grid: integers(0, 31, packQ5_1)},
	Q8_0: {unpack: unpackQ8_0, group: 32, encode: encodeQ8_0, limit: maxF16, grid: integers(-127, 127, packQ8_0)},

	Q2_K: {unpack: unpackQ2_K, group: 16, offset: true, search: searchQ2_K, limit: maxF16, grid: integers(0, 3, packQ2_K)},
	Q3_K: {unpack: unpackQ3_K, group: 16, search: searchQ3_K, limit: maxF16, grid: integers(-4, 3, packQ3_K)},
	Q4_K: {unpack: unpackQ4_K, group: 32, offset: true, search: searchQ4_K, limit: maxF16, grid: integers(0, 15, packQ4_K)},
	Q5_K: {unpack: unpackQ5_K, group: 32, offset: true, search: searchQ5_K, limit: maxF16, grid: integers(0, 31, packQ5_K)},
	Q6_K: {unpack: unpackQ6_K, group: 16, search: searchQ6_K, limit: maxF16, grid: integers(-32, 31, packQ6_K)},

	IQ4_NL: {unpack: unpackIQ4_NL, group: 32, search: searchIQ4_NL, limit: maxF16, grid: grid{codesIQ4[:], nearestIQ4, packQ4_0}},
	IQ4_XS: {unpack: unpackIQ4_XS, group: 32, search: searchIQ4_XS, limit: maxF16, grid: grid{codesIQ4[:], nearestIQ4, packIQ4_XS}},
	MXFP4:  {unpack: unpackMXFP4, group: 32, encode: encodeMXFP4, search: searchMXFP4, limit: math.MaxFloat32, grid: grid{codesE2M1[:], nearestE2M1, packMXFP4}},
	NVFP4:  {unpack: unpackNVFP4, group: 16},

	IQ1_S:   {unpack: unpackIQ1_S, group: 32},
	IQ1_M:   {unpack: unpackIQ1_M, group: 16},
	IQ2_XXS: {unpack: unpackIQ2_XXS, group: 32},
	IQ2_XS:  {unpack: unpackIQ2_XS, group: 16},
	IQ2_S:   {unpack: unpackIQ2_S, group: 16},
	IQ3_XXS: {unpack: unpackIQ3_XXS, group: 32},
	IQ3_S:   {unpack: unpackIQ3_S, group: 32},
	TQ1_0:   {unpack: unpackTQ1_0, group: 32},
	TQ2_0:   {unpack: unpackTQ2_0, group: 32},
}

// codecOf returns d's codec, or the empty one.
func codecOf(d DType) *codec {
	if int(d) < len(codecs) {
		return &codecs[d]
	}
	return &codec{}
}

// blocks lends the block that a row is unpacked through: called through codecs'
// pointers, a local one would be allocated for every row.
var blocks = sync.Pool{New: func() any { return new(block) }}

// CanDequantize reports whether Dequantize takes d. The types that it does not take
// (Q8_1, Q8_K) are forms of activations, which no model file holds.
func CanDequantize(d DType) bool {
	c := codecOf(d)
	return c.decode != nil || c.unpack != nil
}

// Dequantize writes the values of src to dst, exactly as the type defines them: one
// f32 product, and one f32 subtraction where the type has an offset. dst is a row of
// n elements, src its d.RowBytes(n) bytes; it panics on other lengths and on a type
// that CanDequantize refuses. No byte pattern makes it panic. It is safe for
// concurrent use and does not allocate.
func Dequantize(d DType, dst []float32, src []byte) {
	c := codecOf(d)
	checkRow(d, len(dst), len(src))
	switch {
	case c.decode != nil:
		c.decode(dst, src)
	case c.unpack != nil:
		c.dequantize(d, dst, src)
	default:
		panic(fmt.Sprintf("BUG: %v has no decoder", d))
	}
}

func (c *codec) dequantize(d DType, dst []float32, src []byte) {
	b := blocks.Get().(*block)
	defer blocks.Put(b)
	elems, bytes := d.BlockElems(), d.BlockBytes()
	for ; len(dst) > 0; dst, src = dst[elems:], src[bytes:] {
		c.unpack(b, src[:bytes])
		b.expand(dst[:elems], c.group, c.offset)
	}
}

// expand writes the block's values to dst.
func (b *block) expand(dst []float32, group int, offset bool) {
	for g := 0; len(dst) > 0; g++ {
		out := dst[:group]
		q := b.q[g*group:][:len(out)]
		scale := b.scale[g]
		if offset {
			least := b.min[g]
			for i, v := range q {
				// The conversion forbids a fused multiply-add: the format
				// rounds twice.
				out[i] = float32(scale*float32(v)) - least
			}
		} else {
			for i, v := range q {
				out[i] = scale * float32(v)
			}
		}
		dst = dst[group:]
	}
}

// checkRow panics unless elems elements of type d take bytes bytes.
func checkRow(d DType, elems, bytes int) {
	if want := d.RowBytes(elems); want != bytes {
		panic(fmt.Sprintf("BUG: a row of %d elements of %v takes %d bytes, got %d", elems, d, want, bytes))
	}
}
