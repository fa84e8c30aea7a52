package sample

import "math"

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

// filters reports whether not every token may be drawn.
func (p *Params) filters() bool {
	return p.TopK > 0 || p.TopP < 1 || p.MinP > 0 || p.TypicalP < 1
}

// interest returns what scan has to find for the filters: the k largest logits, or those
// within slack of the largest.
func (p *Params) interest(vocab int) (k int, slack float32) {
	switch {
	case p.Temperature == 0:
		return 1, 0
	case p.cuts(vocab):
		return p.TopK, 0
	case p.TopP < 1:
		return 1, p.Temperature * nearby
	case p.MinP > 0:
		return 1, p.Temperature * float32(2*margin-math.Log(float64(p.MinP)))
	}
	return 1, 0
}

// cuts reports whether top_k leaves tokens out.
func (p *Params) cuts(vocab int) bool { return p.TopK > 0 && p.TopK < vocab }

// candidates returns the tokens left by the filters, in the order of ids, after scan.
func (s *Sampler) candidates(logits []float32, p *Params, top float32) []candidate {
	var c []candidate
	switch {
	case p.cuts(len(logits)):
		c = s.collect(logits, s.kth(logits, p.TopK), top, p.Temperature)
		if p.TopP < 1 {
			c = s.topP(c, float64(p.TopP)*total(c))
		}
	case p.TopP < 1:
		c = s.nucleus(logits, p, top)
	default:
		c = s.collect(logits, p.floor(top), top, p.Temperature)
	}
	if p.MinP > 0 {
		c = minP(c, float64(p.MinP))
	}
	if p.TypicalP < 1 {
		c = s.typicalP(c, float64(p.TypicalP))
	}
	return c
}

// margin is how far below min_p's bound scaled logits are looked at: what is near it is
// decided by its weight.
const margin = 1e-3

// floor returns a logit below those that pass min_p.
func (p *Params) floor(top float32) float32 {
	if p.MinP == 0 {
		return -math.MaxFloat32
	}
	bound := float64(top) + float64(p.Temperature)*(math.Log(float64(p.MinP))-margin)
	return math.Nextafter32(float32(bound), -math.MaxFloat32)
}

// nearby is how far below the largest scaled logit top_p looks first: at a 400th of its
// probability.
const nearby = 6

// nucleus applies top_p to the whole row. The smallest set is among the tokens above any
// floor whose weights reach the mass, and few tokens do as a rule.
func (s *Sampler) nucleus(logits []float32, p *Params, top float32) []candidate {
	mass := float64(p.TopP) * s.weigh(logits, top, p.Temperature)
	for depth := float32(nearby); ; depth *= 4. / 3 {
		c := s.collect(logits, top-p.Temperature*depth, top, p.Temperature)
		if depth > -expLeast || total(c) >= mass {
			return s.topP(c, mass)
		}
	}
}

// weigh returns the sum of all weights, after scan, and fills sums with that of each
// strip.
func (s *Sampler) weigh(logits []float32, top, temperature float32) (sum float64) {
	inverse := 1 / float64(temperature)
	s.sums = s.sums[:0]
	for from := 0; from < len(logits); from += strip {
		part := 0.0
		for _, v := range logits[from:min(from+strip, len(logits))] {
			part += expNegative((float64(v) - float64(top)) * inverse)
		}
		s.sums = append(s.sums, part)
		sum += part
	}
	return sum
}

// collect returns the tokens whose logit is at least floor and that are not masked, in the
// order of ids, after scan.
func (s *Sampler) collect(logits []float32, floor, top, temperature float32) []candidate {
	c, inverse := s.choice[:0], 1/float64(temperature)
	floor = max(floor, -math.MaxFloat32)
	reach := reachOf(floor)
	for i, high := range s.bounds {
		from := i * strip
		part := logits[from:min(from+strip, len(logits))]
		if high < floor || !reach.by(part) {
			continue
		}
		for j, v := range part {
			if v >= floor {
				x := (float64(v) - float64(top)) * inverse
				c = append(c, candidate{scaled: x, weight: expNegative(x), id: int32(from + j)})
			}
		}
	}
	s.choice = c
	return c
}

func total(c []candidate) (sum float64) {
	for _, x := range c {
		sum += x.weight
	}
	return sum
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

// typicalP keeps the smallest set of tokens nearest to the entropy in -log probability
// whose weight reaches p of all, and what is as near as the last of them.
func (s *Sampler) typicalP(c []candidate, p float64) []candidate {
	sum, mean := total(c), 0.0 // mean of the scaled logits, as entropy = log(sum) - mean
	for _, x := range c {
		mean += x.weight / sum * x.scaled
	}
	s.items = s.items[:0]
	for _, x := range c {
		s.items = append(s.items, item{key: math.Abs(mean - x.scaled), weight: x.weight, id: x.id})
	}
	last := cut(s.items, p*sum)
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
