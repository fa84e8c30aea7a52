package bench

import (
	"math"
	"math/rand/v2"
	"slices"
)

// resamples is how often the bootstrap draws; its own noise is then far below an
// interval's width.
const resamples = 4000

// ratioInterval returns the geometric mean of b[i]/a[i] and its 95 % interval: the
// percentiles of the means of samples drawn from the ratios with replacement (Efron
// 1979). a and b have the same length. The same input gives the same interval.
func ratioInterval(a, b []float64) (mean, low, high float64) {
	logs := make([]float64, len(a))
	for i := range a {
		logs[i] = math.Log(b[i] / a[i])
	}
	random := rand.New(rand.NewPCG(1, uint64(len(logs))))
	means := make([]float64, resamples)
	for i := range means {
		for range logs {
			means[i] += logs[random.IntN(len(logs))]
		}
		means[i] /= float64(len(logs))
	}
	slices.Sort(means)
	var sum float64
	for _, l := range logs {
		sum += l
	}
	at := func(share float64) float64 { return math.Exp(means[int(share*resamples)]) }
	return math.Exp(sum / float64(len(logs))), at(0.025), at(0.975)
}

// middle returns the median.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
