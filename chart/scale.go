package chart

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Scale maps values of an axis to 0 ... 1, and says where its ticks are.
type Scale struct {
	low, high float64
	forward   func(float64) float64
	ticks     []tick
}

type tick struct {
	at   float64
	text string
}

// place returns where v lies from low (0) to high (1).
func (s *Scale) place(v float64) float64 {
	from, to := s.forward(s.low), s.forward(s.high)
	if to == from {
		return 0.5
	}
	return (s.forward(min(max(v, s.low), s.high)) - from) / (to - from)
}

// Files may say anything; what lies beyond these is no figure of a server.
const (
	smallest = 1e-12
	largest  = 1e15
)

// Linear returns a scale that holds low and high, with ticks at round numbers. Values that
// hardly differ look so.
func Linear(low, high float64) *Scale {
	low, high = max(low, -largest), min(high, largest)
	low = min(low, high-max(math.Abs(low), math.Abs(high))/100)
	if !(high-low > smallest) {
		low, high = 0, 1
	}
	step := roundUp((high - low) / 5)
	first, last := math.Floor(low/step+1e-9), math.Ceil(high/step-1e-9)
	s := &Scale{low: first * step, high: last * step, forward: func(v float64) float64 { return v }}
	for i := first; i <= last; i++ {
		s.ticks = append(s.ticks, tick{i * step, tickText(i*step, step)})
	}
	return s
}

// tickText writes a tick's value with as many digits as tell it from its neighbours.
func tickText(v, step float64) string {
	if step < 1 && step < math.Abs(v)/100 {
		return trimmed(v, int(math.Ceil(-math.Log10(step)-1e-9)))
	}
	return Number(v)
}

// roundUp returns the next of 1, 2, 5, 10, ... times a power of ten.
func roundUp(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// logarithmic returns a scale that holds low and high, both more than 0, with ticks at
// 1, 2 and 5 times powers of ten; over many decades at the powers alone, within less than
// one, where those are few, at the round numbers of a linear scale.
func logarithmic(low, high float64) *Scale {
	low, high = min(max(low, smallest), largest), min(max(high, smallest), largest)
	if s := Linear(low, high); high/low < 10 && s.low > 0 {
		s.forward = math.Log10
		return s
	}
	s := &Scale{low: roundDown(low), high: roundUp(high), forward: math.Log10}
	many := math.Log10(s.high/s.low) > 3
	for v := s.low; v <= s.high*(1+1e-9); v = roundUp(v * 1.01) {
		if exponent := math.Log10(v); !many || math.Abs(exponent-math.Round(exponent)) < 1e-9 {
			s.ticks = append(s.ticks, tick{v, Number(v)})
		}
	}
	return s
}

func roundDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{5, 2} {
		if v >= m*power*(1-1e-9) {
			return m * power
		}
	}
	return power
}

// Nines returns the scale of percentiles, on which 90, 99 and 99.9 lie as far apart, up
// to 99.99.
func Nines() *Scale {
	s := &Scale{high: 99.99, forward: func(p float64) float64 { return -math.Log10(1 - p/100) }}
	for _, p := range []float64{0, 50, 90, 99, 99.9, 99.99} {
		s.ticks = append(s.ticks, tick{p, strconv.FormatFloat(p, 'f', -1, 64)})
	}
	return s
}

// Number writes v shortly: 0.25, 12, 1,500, 2.5M.
func Number(v float64) string {
	switch size := math.Abs(v); {
	case size >= 1e9:
		return trimmed(v/1e9, 2) + "G"
	case size >= 1e6:
		return trimmed(v/1e6, 2) + "M"
	case size >= 1000:
		whole := strconv.FormatFloat(v, 'f', 0, 64)
		return whole[:len(whole)-3] + "," + whole[len(whole)-3:]
	case size >= 100:
		return trimmed(v, 0)
	case size >= 10:
		return trimmed(v, 1)
	case size >= 0.01 || size == 0:
		return trimmed(v, 2)
	}
	return fmt.Sprintf("%.2g", v)
}

func trimmed(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
