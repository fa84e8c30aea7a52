package sample

import "math"

// candidate is a token that may be drawn: its logit over the temperature less the
// largest, which is at most 0, and the exponential of that, its probability times some
// constant.
type candidate struct {
	scaled, weight float64
	id             int32
}

// filters reports whether not every token may be drawn.
func (p *Params) filters() bool {
	return p.TopK > 0 || p.TopP < 1 || p.MinP > 0 || p.TypicalP < 1
}

// candidates returns the tokens left by the filters, in the order of ids, after scan.
func (s *Sampler) candidates(logits []float32, p *Params, top float32) []candidate {
	floor, sum := s.floor(logits, p, top)
	c := s.collect(logits, floor, top, 1/float64(p.Temperature))
	if p.TopP < 1 {
		if sum == 0 {
			sum = total(c)
		}
		c = s.topP(c, float64(p.TopP)*sum)
	}
	if p.MinP > 0 {
		c = minP(c, float64(p.MinP))
	}
	if p.TypicalP < 1 {
		c = s.typicalP(c, float64(p.TypicalP))
	}
	return c
}

// floor returns the least logit that can pass the filters. Where that takes the weight of
// the whole row it returns this as well, else 0.
func (s *Sampler) floor(logits []float32, p *Params, top float32) (floor float32, sum float64) {
	least := 0.0 // weight
	switch {
	case p.TopK > 0 && p.TopK < len(logits):
		floor = s.kth(logits, p.TopK)
	case p.TopP < 1:
		// The tokens of at most this weight come to 1-p of the sum all together, so top_p
		// takes none of them.
		sum = s.weigh(logits, top, 1/float64(p.Temperature))
		least = (1 - float64(p.TopP)) * sum / float64(len(logits))
		floor = -math.MaxFloat32
	default:
		floor = -math.MaxFloat32
	}
	if p.TopP >= 1 {
		least = float64(p.MinP)
	}
	if least > 0 {
		const margin = 1e-3 // what is near the bound is decided by its weight
		bound := float64(top) + float64(p.Temperature)*(math.Log(least)-margin)
		floor = max(floor, math.Nextafter32(float32(bound), -math.MaxFloat32))
	}
	return max(floor, -math.MaxFloat32), sum // never what is masked
}

// weigh returns the sum of all weights, after scan, and fills sums with that of each
// strip.
func (s *Sampler) weigh(logits []float32, top float32, inverse float64) (sum float64) {
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

// collect returns the tokens whose logit is at least floor, in the order of ids; inverse
// is 1 over the temperature.
func (s *Sampler) collect(logits []float32, floor, top float32, inverse float64) []candidate {
	c := s.choice[:0]
	for i, high := range s.maxima {
		if high < floor {
			continue
		}
		from := i * strip
		for j, v := range logits[from:min(from+strip, len(logits))] {
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

// topP keeps the smallest set of largest weights whose sum reaches mass.
func (s *Sampler) topP(c []candidate, mass float64) []candidate {
	s.items = s.items[:0]
	for _, x := range c {
		s.items = append(s.items, item{key: -x.weight, weight: x.weight, id: x.id})
	}
	last := cut(s.items, mass)
	return keep(c, func(x candidate) bool { return !last.before(item{key: -x.weight, id: x.id}) })
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
