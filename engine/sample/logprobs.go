package sample

import (
	"fmt"
	"math"
	"slices"

	"github.com/ingot-llm/ingot/kernels"
)

// Logprob is a token with the natural logarithm of its probability.
type Logprob struct {
	Token   int32
	Logprob float32
}

// Logprobs returns the log-probability of token, and the k most probable tokens appended
// to dst, by log-probability and then by id. They are of the raw logits [V] over the
// full vocabulary, before temperature, penalties and filters, exact to about 1e-6. Errors
// wrap ErrBadLogits or ErrNoToken; a masked token has -Inf.
func (s *Sampler) Logprobs(dst []Logprob, logits []float32, token int32, k int) (float32, []Logprob, error) {
	s.rows = append(s.rows[:0], kernels.Row{X: logits, Scale: scaleOf(1)})
	r := &s.rows[0]
	err := s.reader.Read(s.rows)
	if err == nil {
		err = check(r)
	}
	if err != nil {
		return 0, dst, fmt.Errorf("cannot give log-probabilities: %w", err)
	}
	norm := float64(r.Top) + math.Log(r.Total)
	if k = min(k, len(logits)); k > 0 {
		start := len(dst)
		above(r, s.kth(r, k), func(id int32, v float32) {
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
