package kernels

// lanes are the 16 partial sums in which the reference adds along a row: lane l adds
// elements l, l+16, l+32, ..., a product rounded before it is added; then lane l takes
// lane l+8, +4, +2, +1. (The conversions forbid the compiler to fuse.)
type lanes [16]float32

func (l *lanes) fold() float32 {
	for half := 8; half > 0; half /= 2 {
		for i := range half {
			l[i] += l[i+half]
		}
	}
	return l[0]
}

// dot returns the sum of x[i]*y[i]; y is at least as long as x.
func dot(x, y []float32) float32 {
	var l lanes
	for i := range x {
		l[i%16] += float32(x[i] * y[i])
	}
	return l.fold()
}

// sum returns the sum of x.
func sum(x []float32) float32 {
	var l lanes
	for i := range x {
		l[i%16] += x[i]
	}
	return l.fold()
}
