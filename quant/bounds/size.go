package bounds

import "math"

// Mul returns the product of dims, or false if one is negative or any product on
// the way is above math.MaxInt.
func Mul(dims ...int) (int, bool) {
	n := 1
	for _, d := range dims {
		if d < 0 || d > 0 && n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Add returns a+b of two non-negative numbers, or false if one is negative or the
// sum is above math.MaxInt.
func Add(a, b int) (int, bool) {
	if a < 0 || b < 0 || a > math.MaxInt-b {
		return 0, false
	}
	return a + b, true
}

// Pad returns n rounded up to a multiple of align, a power of two, or false if that
// is above math.MaxInt.
func Pad(n, align int) (int, bool) {
	up, ok := Add(n, align-1)
	return up &^ (align - 1), ok
}
