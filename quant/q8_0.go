package quant

import "math"

// Q8_0 is 32 elements in 34 bytes:
//
//	┌──────┬────────┐
//	│ d 2  │ qs 32  │  x = d * q
//	└──────┴────────┘
//
// d is F16; qs are signed bytes.
func unpackQ8_0(b *block, src []byte) {
	b.scale[0] = f16At(src)
	for i, v := range src[2:34] {
		b.q[i] = int8(v)
	}
}

// encodeQ8_0 rounds half away from zero, as ggml does.
func encodeQ8_0(dst []byte, src []float32) {
	d := abs(largest(src)) / 127
	putF16(dst, d)
	inv := inverse(d)
	for i, v := range src {
		dst[2+i] = byte(int8(math.Round(float64(v * inv))))
	}
}

// packQ8_0 takes q + 127.
func packQ8_0(dst []byte, q []uint8) {
	for i, v := range q {
		dst[2+i] = v - 127
	}
}
