package quant

// NVFP4 is 64 elements in 36 bytes, in 4 groups of 16:
//
//	┌───────────┬────────┐
//	│ scales 4  │ qs 32  │  x = sc / 2 * codesE2M1[q]
//	└───────────┴────────┘
//
// sc is an unsigned E4M3 float. Each group has 8 bytes of qs, its first 8 elements in
// the low nibbles.
func unpackNVFP4(b *block, src []byte) {
	for g, s := range src[:4] {
		b.scale[g] = halfUE4M3(s)
		splitCodes(b.q[16*g:][:16], src[4+8*g:][:8], &codesE2M1)
	}
}

// halfUE4M3 returns half the value of an unsigned E4M3 float (bias 7; the top bit is
// ignored). As in ggml, the NaN code 0x7f counts as zero.
func halfUE4M3(v uint8) float32 {
	if v == 0x7f {
		return 0
	}
	exp, frac := v>>3&15, float32(v&7)
	if exp == 0 {
		return frac * 0x1p-10
	}
	return (8 + frac) * float32(uint32(1)<<exp) * 0x1p-11
}
