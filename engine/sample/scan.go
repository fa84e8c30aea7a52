package sample

import (
	"errors"
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/kernels"
)

// Errors of logits that no token can be drawn from. They concern one request.
var (
	// ErrBadLogits says that a logit is NaN or +Inf: the model's numbers broke down.
	ErrBadLogits = errors.New("the model gave a logit that is no number")
	// ErrNoToken says that every token is banned.
	ErrNoToken = errors.New("no token is left to choose from")
)

// check returns why no token can be drawn from a row that has been read.
func check(r *kernels.Row) error {
	if r.Bad {
		return badLogits(r.X)
	}
	if math.IsInf(float64(r.Top), -1) {
		return fmt.Errorf("%w: all %d are masked", ErrNoToken, len(r.X))
	}
	return nil
}

func badLogits(logits []float32) error {
	for i, v := range logits {
		if v != v || math.IsInf(float64(v), 1) {
			return fmt.Errorf("%w: logit %d is %v", ErrBadLogits, i, v)
		}
	}
	panic("BUG: a bad logit was found and lost")
}

// kth returns the k-th largest logit. k is at most len(r.X).
func (s *Sampler) kth(r *kernels.Row, k int) float32 {
	s.items = s.items[:0]
	above(r, s.kthHigh(r, k), func(id int32, v float32) {
		s.items = append(s.items, item{key: -float64(v), weight: 1, id: id})
	})
	return float32(-cut(s.items, float64(k)).key)
}

// kthHigh returns the k-th largest of the strips' maxima, which at least k logits reach, or
// -Inf where there are fewer strips.
func (s *Sampler) kthHigh(r *kernels.Row, k int) float32 {
	if len(r.High) < k {
		return float32(math.Inf(-1))
	}
	s.highest = s.highest[:0]
	for _, high := range r.High {
		s.rise(high, k)
	}
	return s.highest[0]
}

// rise puts a strip's maximum among the k highest, a heap whose least comes first.
func (s *Sampler) rise(high float32, k int) {
	h := s.highest
	if len(h) < k {
		h = append(h, high)
		for i := len(h) - 1; i > 0 && h[i] < h[(i-1)/2]; i = (i - 1) / 2 {
			h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		}
		s.highest = h
		return
	}
	if high <= h[0] {
		return
	}
	h[0] = high
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if child >= len(h) || h[i] <= h[child] {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// above calls f for each logit of at least floor, in the order of ids.
func above(r *kernels.Row, floor float32, f func(id int32, v float32)) {
	for i, high := range r.High {
		if high < floor {
			continue
		}
		from := i * kernels.Strip
		for j, v := range stripOf(r, i) {
			if v >= floor {
				f(int32(from+j), v)
			}
		}
	}
}

// stripOf returns the logits of strip i.
func stripOf(r *kernels.Row, i int) []float32 {
	return r.X[i*kernels.Strip : min((i+1)*kernels.Strip, len(r.X))]
}

// argmax returns the first largest logit's index.
func argmax(r *kernels.Row) int32 {
	for i, high := range r.High {
		if high < r.Top {
			continue
		}
		for j, v := range stripOf(r, i) {
			if v == r.Top {
				return int32(i*kernels.Strip + j)
			}
		}
	}
	panic(fmt.Sprintf("BUG: the largest logit %v is not in its row", r.Top))
}
