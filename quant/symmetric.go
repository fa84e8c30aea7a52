package quant

// searchSymmetric chooses the scales of a block of Q3_K or Q6_K, whose groups of 16 have
// the values d*sc*q with q in [-levels, levels) and sc in [-most, most). It stores d at
// dst and sets sc + most and q + levels.
func searchSymmetric(dst []byte, sc, q []uint8, x, w []float64, levels, most float64) {
	var scales, weights [16]float64
	for g := range scales {
		xg, wg := x[16*g:][:16], w[16*g:][:16]
		scales[g], weights[g] = searchScale(xg, wg, -levels, levels-1), sum(wg)
	}
	d := putScale(dst, searchScale(scales[:], weights[:], -most, most-1))
	requantize(sc, scales[:], d, 0, -most, most-1)
	for g, s := range sc {
		scale := d * (float64(s) - most)
		requantize(q[16*g:], x[16*g:][:16], scale, 0, -levels, levels-1)
	}
}
