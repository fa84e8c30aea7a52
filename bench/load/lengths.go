package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Lengths is a distribution of lengths in tokens, from Min to Max, both included.
type Lengths struct {
	Min, Max int
	// Median and Sigma, if Sigma is not 0, are those of a lognormal distribution, which
	// is cut to Min and Max; else all lengths are equally likely.
	Median, Sigma float64
}

// maxLength bounds a length: the longest contexts there are have some ten million.
const maxLength = 16 << 20

// Fixed returns the length n alone.
func Fixed(n int) Lengths { return Lengths{Min: n, Max: n} }

// Uniform returns the lengths from low to high.
func Uniform(low, high int) Lengths { return Lengths{Min: low, Max: high} }

// ParseLengths reads "128", "uniform:16,512" or "lognormal:MEDIAN,SIGMA,MAX", as String
// writes them.
func ParseLengths(text string) (Lengths, error) {
	l, err := parseLengths(text)
	switch {
	case err != nil:
		return l, fmt.Errorf("lengths %q are none of 128, uniform:16,512 and lognormal:MEDIAN,SIGMA,MAX", text)
	case l.Min < 1 || l.Max < l.Min || l.Max > maxLength:
		return l, fmt.Errorf("lengths %q: want 1 to %d tokens, the smaller first", text, maxLength)
	case l.Sigma != 0 && !(l.Sigma > 0 && l.Sigma <= 10 && l.Median >= 1 && l.Median <= float64(l.Max)):
		return l, fmt.Errorf("lengths %q: want a median of 1 to the maximum and a sigma above 0, at most 10", text)
	}
	return l, nil
}

func parseLengths(text string) (l Lengths, err error) {
	kind, rest, found := strings.Cut(text, ":")
	if !found {
		n, err := strconv.Atoi(text)
		return Fixed(n), err
	}
	values := make([]float64, 0, 3)
	for part := range strings.SplitSeq(rest, ",") {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil || !(math.Abs(v) <= maxLength+1) {
			return l, strconv.ErrSyntax
		}
		values = append(values, v)
	}
	switch {
	case kind == "uniform" && len(values) == 2:
		return Uniform(int(values[0]), int(values[1])), nil
	case kind == "lognormal" && len(values) == 3 && values[1] != 0:
		return Lengths{Min: 1, Max: int(values[2]), Median: values[0], Sigma: values[1]}, nil
	}
	return l, strconv.ErrSyntax
}

// String returns what ParseLengths reads.
func (l Lengths) String() string {
	switch {
	case l.Sigma != 0:
		return fmt.Sprintf("lognormal:%g,%g,%d", l.Median, l.Sigma, l.Max)
	case l.Min == l.Max:
		return strconv.Itoa(l.Min)
	}
	return fmt.Sprintf("uniform:%d,%d", l.Min, l.Max)
}

func (l Lengths) draw(r *rand.Rand) int {
	if l.Sigma == 0 {
		return l.Min + r.IntN(max(l.Max-l.Min, 0)+1)
	}
	n := math.Round(l.Median * math.Exp(l.Sigma*r.NormFloat64()))
	return int(min(max(n, float64(l.Min)), float64(l.Max)))
}
