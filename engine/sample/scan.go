package sample

import (
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// Errors of logits that no token can be drawn from. They concern one request.
var (
	// ErrBadLogits says that a logit is NaN or +Inf: the model's numbers broke down.
	ErrBadLogits = errors.New("the model gave a logit that is no number")
	// ErrNoToken says that every token is banned.
	ErrNoToken = errors.New("no token is left to choose from")
)

// strip is how many logits share one entry of Sampler.bounds.
const strip = 64

// scan finds the largest logit, and fills bounds so that later passes can leave out the
// strips where nothing of interest lies. Of interest are the k largest logits, and those
// within slack of the largest where k is 1: of the strips with none of them it learns no
// more than that, which is what makes it fast.
func (s *Sampler) scan(logits []float32, k int, slack float32) (top float32, err error) {
	top = float32(math.Inf(-1))
	s.bounds, s.highest = s.bounds[:0], s.highest[:0]
	reach := reachOf(top)
	for from := 0; from < len(logits); from += strip {
		part := logits[from:min(from+strip, len(logits))]
		if !reach.by(part) {
			s.bounds = append(s.bounds, reach.below)
			continue
		}
		high, ok := stripMax(part)
		if !ok {
			return 0, badLogits(logits)
		}
		s.bounds = append(s.bounds, high)
		top = max(top, high)
		if s.rise(high, k) {
			reach = reachOf(s.highest[0] - slack)
		}
	}
	if math.IsInf(float64(top), -1) {
		return 0, fmt.Errorf("%w: all %d are masked", ErrNoToken, len(logits))
	}
	return top, nil
}

// rise puts a strip's maximum among the k highest, a heap whose least comes first. It
// reports whether there are k and the least of them is a new one.
func (s *Sampler) rise(high float32, k int) bool {
	h := s.highest
	if len(h) < k {
		h = append(h, high)
		for i := len(h) - 1; i > 0 && h[i] < h[(i-1)/2]; i = (i - 1) / 2 {
			h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		}
		s.highest = h
		return len(h) == k
	}
	if high <= h[0] {
		return false
	}
	h[0] = high
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if child >= len(h) || h[i] <= h[child] {
			return true
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// Two floats in a word: their magnitudes, their signs, and what carries the magnitude of
// a NaN, and of nothing less, into the place of the sign.
const (
	pair       = 1<<32 + 1
	magnitudes = math.MaxInt32 * pair
	signs      = ^uint64(magnitudes)
	noNumber   = (1<<31 - 0x7F800001) * pair
)

// reach tests whether a strip may hold a logit of at least a threshold, two at a time.
type reach struct {
	carry    uint64  // added to a magnitude, gives the sign's place whether it is as large
	negative bool    // the threshold
	below    float32 // the largest float under the threshold
}

func reachOf(threshold float32) reach {
	bits := math.Float32bits(threshold)
	r := reach{negative: threshold <= 0, below: math.Nextafter32(threshold, float32(math.Inf(-1)))}
	if r.negative {
		bits++ // a logit below the threshold is of greater magnitude
	}
	r.carry = uint64(1<<31-bits&math.MaxInt32) * pair
	return r
}

// by reports whether one of x, a strip, may be at least the threshold. It is true for NaN
// and infinities, for some that are far below a positive threshold, and for a part of a
// strip.
func (r *reach) by(x []float32) bool {
	if len(x) < strip {
		return true
	}
	words := (*[strip / 2]uint64)(unsafe.Pointer((*[strip]float32)(x)))
	if r.negative {
		return !lower(words, r.carry)
	}
	return large(words, r.carry)
}

// large reports whether a magnitude reaches into the place of the sign by carry.
func large(words *[strip / 2]uint64, carry uint64) bool {
	var a, b uint64
	for w := words[:]; len(w) >= 8; w = w[8:] {
		a |= (w[0]&magnitudes + carry) | (w[1]&magnitudes + carry)
		b |= (w[2]&magnitudes + carry) | (w[3]&magnitudes + carry)
		a |= (w[4]&magnitudes + carry) | (w[5]&magnitudes + carry)
		b |= (w[6]&magnitudes + carry) | (w[7]&magnitudes + carry)
	}
	return (a|b)&signs != 0
}

// lower reports whether all are negative numbers whose magnitude reaches into the place
// of the sign by carry.
func lower(words *[strip / 2]uint64, carry uint64) bool {
	all, none := uint64(signs), uint64(0)
	for w := words[:]; len(w) >= 4; w = w[4:] {
		m, n := w[0]&magnitudes, w[1]&magnitudes
		all &= (m + carry) & w[0] & (n + carry) & w[1]
		none |= (m + noNumber) | (n + noNumber)
		m, n = w[2]&magnitudes, w[3]&magnitudes
		all &= (m + carry) & w[2] & (n + carry) & w[3]
		none |= (m + noNumber) | (n + noNumber)
	}
	return all == signs && none&signs == 0
}

// stripMax returns the largest of x, and whether none is NaN or +Inf. It compares the
// bits as integers, which order as floats do where one is positive: that takes no
// branches, and a row's maxima are hard to predict.
func stripMax(x []float32) (high float32, ok bool) {
	const inf = 0x7F800000 // above it, with either sign, lie the NaNs
	most, size := int32(math.MinInt32), uint32(0)
	for _, v := range x {
		b := math.Float32bits(v)
		most = max(most, int32(b))
		size = max(size, b)
	}
	if size > 1<<31+inf || most >= inf {
		return 0, false
	}
	if most < 0 { // the negative ones order the other way round
		least := uint32(math.MaxUint32)
		for _, v := range x {
			least = min(least, math.Float32bits(v))
		}
		return math.Float32frombits(least), true
	}
	return math.Float32frombits(uint32(most)), true
}

func badLogits(logits []float32) error {
	for i, v := range logits {
		if v != v || math.IsInf(float64(v), 1) {
			return fmt.Errorf("%w: logit %d is %v", ErrBadLogits, i, v)
		}
	}
	panic("BUG: a bad logit was found and lost")
}

// kth returns the k-th largest logit, after scan for k. k is at most len(logits).
func (s *Sampler) kth(logits []float32, k int) float32 {
	floor := float32(math.Inf(-1))
	if len(s.highest) == k { // k strips have a logit of at least the k-th largest maximum
		floor = s.highest[0]
	}
	s.items = s.items[:0]
	s.above(logits, floor, func(id int32, v float32) {
		s.items = append(s.items, item{key: -float64(v), weight: 1, id: id})
	})
	return float32(-cut(s.items, float64(k)).key)
}

// above calls f for each logit of at least floor, in the order of ids, after scan.
func (s *Sampler) above(logits []float32, floor float32, f func(id int32, v float32)) {
	for i, high := range s.bounds {
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
	for i, high := range s.bounds {
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
