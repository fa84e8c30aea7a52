package quant

import (
	"encoding/binary"
	"math"
)

const (
	maxF16  = 65504                   // largest finite F16: (2 - 2^-10) * 2^15
	maxBF16 = (2 - 1.0/128) * 0x1p127 // largest finite BF16
)

// F16ToF32 widens an IEEE 754 binary16 number. It is exact; a NaN keeps its payload.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10)&0x1f, uint32(h&0x3ff)
	switch exp {
	case 0: // zero or subnormal: frac * 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*0x1p-24))
	case 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// F32ToF16 rounds to the nearest IEEE 754 binary16 number, half to even. What is too
// large (65520 and above) becomes infinity; a NaN stays one and becomes quiet.
func F32ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits>>16) & 0x8000
	abs := bits & 0x7fffffff
	switch {
	case abs > 0x7f800000:
		return sign | 0x7e00 | uint16(abs>>13)&0x1ff
	case abs >= 0x477ff000: // 65520, halfway between the largest number and 2^16
		return sign | 0x7c00
	case abs < 0x38800000: // below 2^-14: adding 1/2 leaves frac * 2^-24 in the low bits
		shifted := math.Float32frombits(abs) + 0.5
		return sign | uint16(math.Float32bits(shifted)-0x3f000000)
	}
	odd := abs >> 13 & 1
	return sign | uint16((abs-(127-15)<<23+0xfff+odd)>>13)
}

// BF16ToF32 widens a bfloat16 number. It is exact.
func BF16ToF32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// F32ToBF16 rounds to the nearest bfloat16 number, half to even. What is too large
// becomes infinity; a NaN stays one and becomes quiet.
func F32ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// F16sToF32s widens src into dst, which is at least as long.
func F16sToF32s(dst []float32, src []uint16) { mapSlice(dst, src, F16ToF32) }

// F32sToF16s rounds src into dst, which is at least as long, as F32ToF16 does.
func F32sToF16s(dst []uint16, src []float32) { mapSlice(dst, src, F32ToF16) }

// BF16sToF32s widens src into dst, which is at least as long.
func BF16sToF32s(dst []float32, src []uint16) { mapSlice(dst, src, BF16ToF32) }

// F32sToBF16s rounds src into dst, which is at least as long, as F32ToBF16 does.
func F32sToBF16s(dst []uint16, src []float32) { mapSlice(dst, src, F32ToBF16) }

func mapSlice[A, B any](dst []B, src []A, convert func(A) B) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = convert(v)
	}
}

func decodeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func encodeF16(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], F32ToF16(v))
	}
}

func decodeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func encodeBF16(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], F32ToBF16(v))
	}
}

// f16At returns the F16 number that src starts with, the form of most types' scales.
func f16At(src []byte) float32 { return F16ToF32(binary.LittleEndian.Uint16(src)) }

// putF16 stores v at the start of dst.
func putF16(dst []byte, v float32) { binary.LittleEndian.PutUint16(dst, F32ToF16(v)) }
