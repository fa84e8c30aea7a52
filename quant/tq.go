package quant

// TQ1_0 is 256 ternary elements in 54 bytes:
//
//	┌────────┬───────┬──────┐
//	│ qs 48  │ qh 4  │ d 2  │  x = d * (q - 1)
//	└────────┴───────┴──────┘
//
// A byte holds five digits base 3 as the fraction byte/256 (qh's bytes hold four):
// digit p is the integer part of three times the fraction left after p digits. The
// first 32 bytes of qs hold elements 32*p + i, the next 16 elements 160 + 16*p + i,
// qh elements 240 + 4*p + i.
func unpackTQ1_0(b *block, src []byte) {
	b.spread(f16At(src[52:]))
	splitTrits(b.q[:160], src[:32])
	splitTrits(b.q[160:240], src[32:48])
	splitTrits(b.q[240:], src[48:52])
}

// splitTrits unpacks len(q)/len(src) digits of each byte.
func splitTrits(q []int8, src []byte) {
	for i, v := range src {
		for e := i; e < len(q); e += len(src) {
			q[e] = int8(uint16(v)*3>>8) - 1
			v *= 3
		}
	}
}

// TQ2_0 is 256 ternary elements in 66 bytes:
//
//	┌────────┬──────┐
//	│ qs 64  │ d 2  │  x = d * (q - 1)
//	└────────┴──────┘
//
// qs is packed as in Q2_K.
func unpackTQ2_0(b *block, src []byte) {
	b.spread(f16At(src[64:]))
	splitPairs(b.q[:], src[:64])
	shift(b.q[:], -1)
}

// spread gives all eight groups of 32 the one scale d.
func (b *block) spread(d float32) {
	for g := range 8 {
		b.scale[g] = d
	}
}
