package quant

import (
	"fmt"
	"math"
	"sync"
)

// CanQuantize reports whether Quantize takes d.
func CanQuantize(d DType) bool {
	c := codecOf(d)
	return c.encode != nil || c.search != nil
}

// Quantize writes a row of values as type d. src is a row of n elements, dst its
// d.RowBytes(n) bytes, overwritten; it panics on other lengths and on a type that
// CanQuantize refuses.
//
// importance holds n weights of the squared errors of the columns, such as the mean
// square of the activation that each multiplies, or is nil. It steers the types that
// have a choice of scales; F32, F16, BF16 and Q8_0 round to the nearest whatever it
// says. Without it Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and MXFP4 are byte for byte what ggml's
// reference writes; the other block types take the scales of least squared error,
// large elements weighing more (see errorWeights).
//
// A value that is not finite, or larger than the type's scales can say, is an error
// that names its index, and so is a weight that is negative or not finite; dst is then
// as it was. Quantize is safe for concurrent use and does not allocate, so rows may be
// spread over goroutines.
func Quantize(d DType, dst []byte, src, importance []float32) error {
	c := codecOf(d)
	checkRow(d, len(src), len(dst))
	if !CanQuantize(d) {
		panic(fmt.Sprintf("BUG: %v has no encoder", d))
	}
	if importance != nil && len(importance) != len(src) {
		panic(fmt.Sprintf("BUG: %d importance weights for a row of %d", len(importance), len(src)))
	}
	if err := checkValues(d, src, c.limit); err != nil {
		return err
	}
	if err := checkImportance(importance); err != nil {
		return err
	}
	switch {
	case c.unpack == nil:
		c.encode(dst, src)
	case c.encode != nil && (importance == nil || c.search == nil):
		c.encodeRow(d, dst, src)
	default:
		c.searchRow(d, dst, src, importance)
	}
	return nil
}

func (c *codec) encodeRow(d DType, dst []byte, src []float32) {
	elems, bytes := d.BlockElems(), d.BlockBytes()
	for ; len(src) > 0; dst, src = dst[bytes:], src[elems:] {
		c.encode(dst[:bytes], src[:elems])
	}
}

// problem is one block as the searches see it: values and weights of their errors.
type problem struct{ x, w [256]float64 }

// problems lends searchRow its block, as blocks does.
var problems = sync.Pool{New: func() any { return new(problem) }}

func (c *codec) searchRow(d DType, dst []byte, src, importance []float32) {
	p := problems.Get().(*problem)
	defer problems.Put(p)
	elems, bytes := d.BlockElems(), d.BlockBytes()
	for i := 0; i < len(src); i += elems {
		x, w := p.x[:elems], p.w[:elems]
		for j, v := range src[i:][:elems] {
			x[j] = float64(v)
		}
		if importance == nil {
			errorWeights(w, x, nil)
		} else {
			errorWeights(w, x, importance[i:][:elems])
		}
		c.search(dst[:bytes], x, w)
		dst = dst[bytes:]
	}
}

// errorWeights sets w[i] = importance[i] * sqrt(s + x[i]^2), s being twice the mean
// square of the block: llama.cpp's weighting, in which large elements count up to
// some two or three times as much. Where importance is nil or zero all over the
// block it is taken as one.
func errorWeights(w, x []float64, importance []float32) {
	var squares, sum float64
	for _, v := range x {
		squares += v * v
	}
	for _, v := range importance {
		sum += float64(v)
	}
	s := 2 * squares / float64(len(x))
	for i, v := range x {
		w[i] = math.Sqrt(s + v*v)
		if sum > 0 {
			w[i] *= float64(importance[i])
		}
	}
}

func checkValues(d DType, src []float32, limit float32) error {
	for i, v := range src {
		if abs(v) <= limit {
			continue
		}
		if v-v != 0 {
			return fmt.Errorf("cannot quantize to %v: element %d is %g; the weights are damaged", d, i, v)
		}
		return fmt.Errorf("cannot quantize to %v: element %d is %g, above the type's limit of %g; use F32 or BF16", d, i, v, limit)
	}
	return nil
}

func checkImportance(importance []float32) error {
	for i, v := range importance {
		if !(v >= 0 && v <= math.MaxFloat32) {
			return fmt.Errorf("importance weight %d is %g, want a finite number of at least 0", i, v)
		}
	}
	return nil
}
