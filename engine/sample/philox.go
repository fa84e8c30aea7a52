package sample

import "math/bits"

// philox returns 64 random bits for a place: the first half of Philox4x32-10 (Salmon et
// al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011). It has no state: the same
// key and counter give the same bits, whatever else was drawn before.
func philox(key uint64, counter [4]uint32) [4]uint32 {
	k0, k1 := uint32(key), uint32(key>>32)
	c := counter
	for range 10 {
		hi0, lo0 := bits.Mul32(0xD2511F53, c[0])
		hi1, lo1 := bits.Mul32(0xCD9E8D57, c[2])
		c = [4]uint32{hi1 ^ c[1] ^ k0, lo1, hi0 ^ c[3] ^ k1, lo0}
		k0 += 0x9E3779B9 // the golden ratio
		k1 += 0xBB67AE85 // sqrt(3) - 1
	}
	return c
}

// uniform returns the number in [0, 1), a multiple of 2^-53, that decides the next token
// of the sequence.
func (st *State) uniform() float64 {
	n := uint64(st.generated)
	r := philox(st.params.Seed, [4]uint32{uint32(n), uint32(n >> 32), st.index, 0})
	return float64((uint64(r[1])<<32|uint64(r[0]))>>11) / (1 << 53)
}
