package quant

// offsets are the searched scales of a block of Q2_K, Q4_K or Q5_K: group g has the
// values d*sc[g]*q - dmin*m[g].
type offsets struct {
	group         int     // elements per group
	levels, most  float64 // largest q; largest sc and m
	d, dmin       float64
	scales, least [16]float64 // per group, before they become integers
	sc, m         [16]uint8
}

// search sets d and dmin: it searches each group by itself and then the two factors
// that are common to all.
func (k *offsets) search(x, w []float64) {
	var weights [16]float64
	n := len(x) / k.group
	for g := range n {
		xg, wg := x[g*k.group:][:k.group], w[g*k.group:][:k.group]
		scale, least := searchAffine(xg, wg, k.levels, true)
		k.scales[g], k.least[g], weights[g] = scale, -least, sum(wg)
	}
	k.d = searchScale(k.scales[:n], weights[:n], 0, k.most)
	k.dmin = searchScale(k.least[:n], weights[:n], 0, k.most)
}

// round sets sc and m for d and dmin as they were stored, and then q for those.
func (k *offsets) round(q []uint8, x []float64) {
	n := len(x) / k.group
	requantize(k.sc[:n], k.scales[:n], k.d, 0, 0, k.most)
	requantize(k.m[:n], k.least[:n], k.dmin, 0, 0, k.most)
	for g := range n {
		scale, least := k.d*float64(k.sc[g]), k.dmin*float64(k.m[g])
		requantize(q[g*k.group:], x[g*k.group:][:k.group], scale, least, 0, k.levels)
	}
}
