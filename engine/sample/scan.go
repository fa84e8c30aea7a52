package sample

import (
	"errors"
	"fmt"
	"math"
)

// Errors of logits that no token can be drawn from. They concern one request.
var (
	// ErrBadLogits says that a logit is NaN or +Inf: the model's numbers broke down.
	ErrBadLogits = errors.New("the model gave a logit that is no number")
	// ErrNoToken says that every token is banned.
	ErrNoToken = errors.New("no token is left to choose from")
)

// strip is how many logits share one entry of Sampler.maxima.
const strip = 64

// scan finds the largest logit, and fills maxima with that of each strip, so that later
// passes can leave out the strips where nothing of interest lies.
func (s *Sampler) scan(logits []float32) (top float32, err error) {
	top = float32(math.Inf(-1))
	s.maxima = s.maxima[:0]
	for from := 0; from < len(logits); from += strip {
		high, ok := stripMax(logits[from:min(from+strip, len(logits))])
		if !ok {
			return 0, badLogits(logits)
		}
		s.maxima = append(s.maxima, high)
		top = max(top, high)
	}
	if math.IsInf(float64(top), -1) {
		return 0, fmt.Errorf("%w: all %d are masked", ErrNoToken, len(logits))
	}
	return top, nil
}

// stripMax returns the largest of x, and whether none is NaN or +Inf. It compares the
// bits as integers, which order as the floats do once the negative ones are turned
// round: that takes no branches, and a row's maxima are hard to predict.
func stripMax(x []float32) (high float32, ok bool) {
	most, size := int32(math.MinInt32), int32(0)
	for _, v := range x {
		b := int32(math.Float32bits(v))
		most = max(most, b^(b>>31&math.MaxInt32))
		size = max(size, b&math.MaxInt32)
	}
	const inf = 0x7F800000 // above it lie the NaNs
	return math.Float32frombits(uint32(most ^ (most >> 31 & math.MaxInt32))), size <= inf && most < inf
}

func badLogits(logits []float32) error {
	for i, v := range logits {
		if v != v || math.IsInf(float64(v), 1) {
			return fmt.Errorf("%w: logit %d is %v", ErrBadLogits, i, v)
		}
	}
	panic("BUG: a bad logit was found and lost")
}

// kth returns the k-th largest logit, after scan. k is at most len(logits).
func (s *Sampler) kth(logits []float32, k int) float32 {
	floor := float32(math.Inf(-1))
	if k <= len(s.maxima) { // k strips have a logit of at least the k-th largest maximum
		s.items = s.items[:0]
		for i, v := range s.maxima {
			s.items = append(s.items, item{key: -float64(v), weight: 1, id: int32(i)})
		}
		floor = float32(-cut(s.items, float64(k)).key)
	}
	s.items = s.items[:0]
	s.above(logits, floor, func(id int32, v float32) {
		s.items = append(s.items, item{key: -float64(v), weight: 1, id: id})
	})
	return float32(-cut(s.items, float64(k)).key)
}

// above calls f for each logit of at least floor, in the order of ids, after scan.
func (s *Sampler) above(logits []float32, floor float32, f func(id int32, v float32)) {
	for i, high := range s.maxima {
		if high < floor {
			continue
		}
		from := i * strip
		for j, v := range logits[from:min(from+strip, len(logits))] {
			if v >= floor {
				f(int32(from+j), v)
			}
		}
	}
}

// argmax returns the first largest logit's index, after scan.
func (s *Sampler) argmax(logits []float32, top float32) int32 {
	for i, high := range s.maxima {
		if high < top {
			continue
		}
		for j, v := range logits[i*strip:] {
			if v == top {
				return int32(i*strip + j)
			}
		}
	}
	panic(fmt.Sprintf("BUG: the largest logit %v is not in its row", top))
}
