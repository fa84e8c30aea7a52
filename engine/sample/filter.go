package sample

import (
	"math"

	"github.com/ingot-llm/ingot/kernels"
)

// candidate is a token that may be drawn: its logit over the temperature less the
// largest, which is at most 0, and the exponential of that, its probability times some
// constant.
type candidate struct {
	scaled, weight float64
	id             int32
}

// depths bounds candidate.depth: the last one is for all below 2^-46 of the largest weight.
const depths = 256

// depth counts eighths of a nat from the largest weight down.
func (c *candidate) depth() int { return int(min(-8*c.scaled, depths-1)) }

// cuts reports whether top_k leaves tokens out.
func (p *Params) cuts(vocab int) bool { return p.TopK > 0 && p.TopK < vocab }

// filters reports whether not every token may be drawn.
func (p *Params) filters(vocab int) bool {
	return p.cuts(vocab) || p.TopP < 1 || p.MinP > 0 || p.TypicalP < 1
}

// row says what is to be read of logits: maxima are enough to take the largest ones.
func (p *Params) row(logits []float32) kernels.Row {
	r := kernels.Row{X: logits}
	if p.Temperature == 0 || p.cuts(len(logits)) || p.TopP == 1 && p.MinP > 0 {
		return r
	}
	r.Scale, r.Moments = scaleOf(p.Temperature), p.TopP == 1 && p.TypicalP < 1
	return r
}

// candidates returns the tokens left by the filters, in the order of ids.
func (s *Sampler) candidates(r *kernels.Row, p *Params) []candidate {
	var c []candidate
	switch {
	case p.cuts(len(r.X)):
		c = s.collect(r, s.kth(r, p.TopK), p.Temperature)
		if p.TopP < 1 {
			c = s.topP(c, float64(p.TopP)*total(c))
		}
	case p.TopP < 1:
		c = s.nucleus(r, p)
	case p.MinP == 0 && p.TypicalP < 1:
		return s.typical(r, p)
	default:
		c = s.collect(r, p.floor(r.Top, math.Log(float64(p.MinP))-margin), p.Temperature)
	}
	if p.MinP > 0 {
		c = minP(c, float64(p.MinP))
	}
	if p.TypicalP < 1 {
		sum, mean := mean(c)
		c = s.typicalP(c, mean, float64(p.TypicalP)*sum)
	}
	return c
}

// margin is how far below min_p's bound scaled logits are looked at: what is near it is
// decided by its weight.
const margin = 1e-3

// floor returns a logit below those that, less the largest one and over the temperature,
// are at least scaled.
func (p *Params) floor(top float32, scaled float64) float32 {
	return math.Nextafter32(float32(float64(top)+float64(p.Temperature)*scaled), -math.MaxFloat32)
}

// The smallest set that reaches a part of a whole row's weight is sought among the tokens
// within nearby nats of where it begins, as few are needed as a rule (half as many around the
// mean, where it grows both ways); then within a third more, and so on until farthest,
// beyond which a row's weights are 0.
const (
	nearby   = 8
	wider    = 4. / 3
	farthest = 90
)

// nucleus applies top_p to the whole row: its set begins with the largest logit.
func (s *Sampler) nucleus(r *kernels.Row, p *Params) []candidate {
	mass := float64(p.TopP) * r.Total
	for depth := float64(nearby); ; depth *= wider {
		c := s.collect(r, p.floor(r.Top, -depth), p.Temperature)
		if depth > farthest || total(c) >= mass {
			return s.topP(c, mass)
		}
	}
}

// typical applies typical_p to the whole row: its set begins at the mean of the scaled
// logits.
func (s *Sampler) typical(r *kernels.Row, p *Params) []candidate {
	mean, mass := r.Moment/r.Total*math.Ln2, float64(p.TypicalP)*r.Total
	for far := float64(nearby) / 2; ; far *= wider {
		c := s.collect(r, p.floor(r.Top, mean-far), p.Temperature)
		c = keep(c, func(x candidate) bool { return math.Abs(x.scaled-mean) <= far })
		if far > farthest || total(c) >= mass {
			return s.typicalP(c, mean, mass)
		}
	}
}

// collect returns the tokens whose logit is at least floor and that are not masked, in the
// order of ids.
func (s *Sampler) collect(r *kernels.Row, floor, temperature float32) []candidate {
	c, inverse := s.choice[:0], 1/float64(temperature)
	above(r, max(floor, -math.MaxFloat32), func(id int32, v float32) {
		x := (float64(v) - float64(r.Top)) * inverse
		c = append(c, candidate{scaled: x, weight: math.Exp(x), id: id})
	})
	s.choice = c
	return c
}

func total(c []candidate) (sum float64) {
	for _, x := range c {
		sum += x.weight
	}
	return sum
}

// mean returns the sum of the weights and the mean of the scaled logits.
func mean(c []candidate) (sum, mean float64) {
	sum = total(c)
	for _, x := range c {
		mean += x.weight / sum * x.scaled
	}
	return sum, mean
}

// topP keeps the smallest set of largest weights whose sum reaches mass. It sums them by
// depth first, so that only those around the cut have to be ranked.
func (s *Sampler) topP(c []candidate, mass float64) []candidate {
	var sums [depths]float64
	deepest := 0
	for i := range c {
		d := c[i].depth()
		sums[d] += c[i].weight
		deepest = max(deepest, d)
	}
	at := 0
	for ; at < deepest && sums[at] < mass; at++ {
		mass -= sums[at]
	}
	s.items = s.items[:0]
	for i := range c {
		if x := &c[i]; x.depth() == at {
			s.items = append(s.items, item{key: -x.scaled, weight: x.weight, id: x.id})
		}
	}
	last := cut(s.items, mass)
	return keep(c, func(x candidate) bool { return !last.before(item{key: -x.scaled, id: x.id}) })
}

// minP keeps weights of at least p times the largest.
func minP(c []candidate, p float64) []candidate {
	high := 0.0
	for _, x := range c {
		high = max(high, x.weight)
	}
	return keep(c, func(x candidate) bool { return x.weight >= p*high })
}

// typicalP keeps the smallest set of tokens nearest to the entropy in -log probability,
// which is nearest to the mean of the scaled logits, whose weight reaches mass, and what is
// as near as the last of them.
func (s *Sampler) typicalP(c []candidate, mean, mass float64) []candidate {
	s.items = s.items[:0]
	for _, x := range c {
		s.items = append(s.items, item{key: math.Abs(mean - x.scaled), weight: x.weight, id: x.id})
	}
	last := cut(s.items, mass)
	return keep(c, func(x candidate) bool { return math.Abs(mean-x.scaled) <= last.key })
}

// keep filters c in place.
func keep(c []candidate, want func(candidate) bool) []candidate {
	n := 0
	for _, x := range c {
		if want(x) {
			c[n] = x
			n++
		}
	}
	return c[:n]
}
