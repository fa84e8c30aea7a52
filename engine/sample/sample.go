package sample

import "fmt"

// Sampler is the working memory of sampling for one vocabulary. It belongs to one
// goroutine; after the first calls it allocates nothing.
type Sampler struct {
	bounds  []float32   // [V/strip] no logit of the strip is larger
	highest []float32   // up to [V/strip] largest maxima of strips
	choice  []candidate // up to [V]
	items   []item      // up to [V]
	sums    []float64   // [V/strip] weight of each strip
	undo    []edit
}

// Sample draws the next token of a sequence from its logits [V]. It does not change st:
// the caller gives the token to st.Accept, or samples again and gets the same one.
// logits are changed for the time of the call. Errors wrap ErrBadLogits or ErrNoToken.
func (s *Sampler) Sample(logits []float32, st *State) (int32, error) {
	s.undo = st.edit(logits, s.undo[:0])
	defer restore(logits, s.undo)
	k, slack := st.params.interest(len(logits))
	top, err := s.scan(logits, k, slack)
	if err != nil {
		return 0, fmt.Errorf("cannot sample token %d of the answer: %w", st.generated+1, err)
	}
	switch p := st.params; {
	case p.Temperature == 0:
		return s.argmax(logits, top), nil
	case !p.filters():
		return s.drawAny(logits, top, p.Temperature, st.uniform()), nil
	default:
		return draw(s.candidates(logits, p, top), st.uniform()), nil
	}
}

// drawAny draws from the whole row without keeping its weights: it finds the strip in
// whose part of the sum u in [0, 1) falls, and draws within it.
func (s *Sampler) drawAny(logits []float32, top, temperature float32, u float64) int32 {
	left, at := u*s.weigh(logits, top, temperature), 0
	for ; at < len(s.sums)-1 && left >= s.sums[at]; at++ {
		left -= s.sums[at]
	}
	from, inverse := at*strip, 1/float64(temperature)
	for i, v := range logits[from:min(from+strip, len(logits))] {
		if left -= expNegative((float64(v) - float64(top)) * inverse); left < 0 {
			return int32(from + i)
		}
	}
	return s.argmax(logits, top) // rounding has left a little over
}

// draw returns the candidate in whose part of the summed weights u in [0, 1) falls.
func draw(c []candidate, u float64) int32 {
	left := u * total(c)
	for _, x := range c {
		if left -= x.weight; left < 0 {
			return x.id
		}
	}
	return largest(c)
}

// largest returns the candidate of most weight, for the rounding that draw leaves over.
func largest(c []candidate) int32 {
	best := c[0]
	for _, x := range c {
		if x.weight > best.weight {
			best = x
		}
	}
	return best.id
}
