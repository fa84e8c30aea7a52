package board

import "slices"

// Curve is a figure over the steps, which rise.
type Curve struct {
	Steps  []int
	Values []float64
}

// Last returns the newest value, 0 of an empty curve.
func (c *Curve) Last() float64 {
	if c == nil || len(c.Values) == 0 {
		return 0
	}
	return c.Values[len(c.Values)-1]
}

// cut drops what lies after a step.
func (c *Curve) cut(step int) {
	n := len(c.Steps)
	for n > 0 && c.Steps[n-1] > step {
		n--
	}
	c.Steps, c.Values = c.Steps[:n], c.Values[:n]
}

// At returns the value of a step, or of the last one before it.
func (c *Curve) At(step int) float64 {
	if c == nil || len(c.Steps) == 0 {
		return 0
	}
	i, found := slices.BinarySearch(c.Steps, step)
	if !found {
		i = max(i-1, 0)
	}
	return c.Values[i]
}

// on returns the value of that very step, 0 where there is none.
func (c *Curve) on(step int) float64 {
	if c == nil {
		return 0
	}
	if i, found := slices.BinarySearch(c.Steps, step); found {
		return c.Values[i]
	}
	return 0
}

// smooth returns the exponential moving average over about span steps, in which each
// value's weight is as if there had been none before the first (Adam's correction).
func (c *Curve) smooth(span float64) *Curve {
	out := &Curve{c.Steps, make([]float64, len(c.Values))}
	keep := 1 - 2/(span+1)
	sum, weight := 0.0, 0.0
	for i, v := range c.Values {
		sum, weight = keep*sum+(1-keep)*v, keep*weight+(1-keep)
		out.Values[i] = sum / weight
	}
	return out
}

// thin returns at most about most values: of each stretch the lowest and the highest, so
// that no spike is lost.
func (c *Curve) thin(most int) *Curve {
	n := len(c.Steps)
	if n <= most {
		return c
	}
	out := &Curve{}
	for i := range most / 2 {
		from, to := i*n*2/most, (i+1)*n*2/most
		low, high := from, from
		for j := from; j < to; j++ {
			if c.Values[j] < c.Values[low] {
				low = j
			}
			if c.Values[j] > c.Values[high] {
				high = j
			}
		}
		for _, j := range []int{min(low, high), max(low, high)} {
			out.Steps, out.Values = append(out.Steps, c.Steps[j]), append(out.Values, c.Values[j])
		}
	}
	if last := n - 1; out.Steps[len(out.Steps)-1] != c.Steps[last] {
		out.Steps, out.Values = append(out.Steps, c.Steps[last]), append(out.Values, c.Values[last])
	}
	return out
}
