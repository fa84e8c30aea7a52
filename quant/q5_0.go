package quant

import "encoding/binary"

// Q5_0 is 32 elements in 22 bytes:
//
//	┌──────┬───────┬────────┐
//	│ d 2  │ qh 4  │ qs 16  │  x = d * (q - 16)
//	└──────┴───────┴────────┘
//
// d is F16; bit i of qh is the fifth bit of element i; qs is packed as in Q4_0.
func unpackQ5_0(b *block, src []byte) {
	b.scale[0] = f16At(src)
	splitNibbles(b.q[:32], src[6:22])
	addFifthBits(b.q[:32], binary.LittleEndian.Uint32(src[2:]))
	shift(b.q[:32], -16)
}

// encodeQ5_0 puts the element of largest magnitude at -16, as encodeQ4_0 does at -8.
func encodeQ5_0(dst []byte, src []float32) {
	var q [32]uint8
	d := largest(src) / -16
	putF16(dst, d)
	for i, v := range src {
		q[i] = uint8(min(31, float64(v)*float64(inverse(d))+16.5))
	}
	packQ5_0(dst, q[:])
}

func searchQ5_0(dst []byte, x, w []float64) {
	var q [32]uint8
	d := putScale(dst, searchScale(x, w, -16, 15))
	requantize(q[:], x, d, 0, -16, 15)
	packQ5_0(dst, q[:])
}

func packQ5_0(dst []byte, q []uint8) { joinFives(dst[2:22], q) }

// joinFives packs 32 elements in [0, 31] as qh and qs.
func joinFives(dst []byte, q []uint8) {
	var high uint32
	for i, v := range q {
		high |= uint32(v>>4) << i
		q[i] = v & 15
	}
	binary.LittleEndian.PutUint32(dst, high)
	joinNibbles(dst[4:20], q)
}
