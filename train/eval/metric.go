package eval

import (
	"math"
	"strings"
)

// outcome is what came of one question, by the metric's name.
type outcome map[string]value

// value counts for sum/weight: an accuracy has weight 1, text as many as it has bytes.
type value struct{ sum, weight float64 }

func one(x float64) value { return value{x, 1} }

func truth(b bool) value {
	if b {
		return one(1)
	}
	return one(0)
}

// aggregate returns a metric over all outcomes: the ratio r of the sums to the weights, or
// for a perplexity e^r, with the standard error
//
//	se(r) = sqrt(n/(n-1) sum (x_i - r w_i)^2) / sum w_i
//
// which for equal weights is the sample deviation over sqrt(n); that of e^r is e^r se(r).
func aggregate(name string, outcomes []outcome) Metric {
	var all value
	for _, o := range outcomes {
		all.sum += o[name].sum
		all.weight += o[name].weight
	}
	m := Metric{Name: name, Value: all.sum / all.weight}
	if n := float64(len(outcomes)); n > 1 {
		var squares float64
		for _, o := range outcomes {
			d := o[name].sum - m.Value*o[name].weight
			squares += d * d
		}
		se := math.Sqrt(n/(n-1)*squares) / all.weight
		m.StdErr = &se
	}
	if strings.HasSuffix(name, "perplexity") {
		m.Value = math.Exp(m.Value)
		if m.StdErr != nil {
			*m.StdErr *= m.Value
		}
	}
	return m
}
