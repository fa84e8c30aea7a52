package quant

import (
	"math"
	"testing"
)

func TestPlainTypesDecodeTheirBytes(t *testing.T) {
	for _, c := range []struct {
		d    DType
		raw  []byte
		want []float32
	}{
		{F32, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x80}, []float32{1, float32(math.Copysign(0, -1))}},
		{F64, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0xbf}, []float32{-1.5}},
		{I8, []byte{0x80, 0x7f}, []float32{-128, 127}},
		{I16, []byte{0xfe, 0xff, 1, 1}, []float32{-2, 257}},
		{I32, []byte{0xff, 0xff, 0xff, 0xff}, []float32{-1}},
		{I64, []byte{0, 0, 0, 0, 1, 0, 0, 0}, []float32{1 << 32}},
	} {
		got := make([]float32, len(c.want))
		Dequantize(c.d, got, c.raw)
		requireBits(t, c.d.String(), got, c.want)
		if HasIntForm(c.d) || IntForm(c.d, new(IntRow), c.raw) {
			t.Errorf("%v claims an integer form", c.d)
		}
	}
}

func TestUnknownTypesHaveNoCodec(t *testing.T) {
	for _, d := range []DType{4, 5, 33, 41, 1 << 31, Q8_1, Q8_K} {
		if CanDequantize(d) || CanQuantize(d) || HasIntForm(d) {
			t.Errorf("%v claims a codec", d)
		}
	}
}

// The OCP formats' scales at the ends of their ranges, and the codes that ggml reads
// differently from OCP.
func TestMicroscalingScales(t *testing.T) {
	for e, want := range map[uint8]float32{0: 0x1p-128, 1: 0x1p-127, 2: 0x1p-126, 127: 0.5, 254: 0x1p126, 255: 0x1p127} {
		if got := halfE8M0(e); got != want {
			t.Errorf("E8M0 %d: half is %g, want %g", e, got, want)
		}
	}
	for v, want := range map[uint8]float32{0: 0, 1: 0x1p-10, 7: 7 * 0x1p-10, 8: 0x1p-7, 0x38: 0.5, 0x7e: 224, 0x7f: 0, 0xb8: 0.5} {
		if got := halfUE4M3(v); got != want {
			t.Errorf("UE4M3 %#x: half is %g, want %g", v, got, want)
		}
	}
}
