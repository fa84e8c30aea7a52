package sample

import (
	"fmt"
	"math"
	"slices"
)

// Logprob is a token with the natural logarithm of its probability.
type Logprob struct {
	Token   int32
	Logprob float32
}

// Logprobs returns the log-probability of token, and the k most probable tokens appended
// to dst, by log-probability and then by id. They are of the raw logits [V] over the
// full vocabulary, summed in float64 in the order of ids: before temperature, penalties
// and filters. Errors wrap ErrBadLogits or ErrNoToken; a masked token has -Inf.
func (s *Sampler) Logprobs(dst []Logprob, logits []float32, token int32, k int) (float32, []Logprob, error) {
	k = min(k, len(logits))
	top, err := s.scan(logits, max(k, 1), 0)
	if err != nil {
		return 0, dst, fmt.Errorf("cannot give log-probabilities: %w", err)
	}
	norm := float64(top) + math.Log(s.weigh(logits, top, 1))
	if k > 0 {
		start := len(dst)
		s.above(logits, s.kth(logits, k), func(id int32, v float32) {
			dst = append(dst, Logprob{Token: id, Logprob: float32(float64(v) - norm)})
		})
		dst = first(dst, start, k, logits)
	}
	return float32(float64(logits[token]) - norm), dst, nil
}

// first sorts dst[start:] and leaves k of them.
func first(dst []Logprob, start, k int, logits []float32) []Logprob {
	slices.SortFunc(dst[start:], func(a, b Logprob) int {
		switch x, y := logits[a.Token], logits[b.Token]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return int(a.Token - b.Token)
	})
	return dst[:start+k]
}
