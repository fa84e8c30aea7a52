package predict

import (
	"math"
	"testing"
)

func TestDivergence(t *testing.T) {
	ln := func(x float64) float32 { return float32(math.Log(x)) }
	var d Divergence
	q := []float32{ln(0.25) + 7, ln(0.5) + 7, ln(0.25) + 7} // logits lack a constant
	even := []float32{3, 3, 3}
	d.Add(append(q, q...), append(even, q...), []int32{1, 0})
	kl := (0.5*math.Log(0.5*3) + 0.5*math.Log(0.25*3)) / 2
	nll, ref := (math.Log(3)+math.Log(4))/2, (math.Log(2)+math.Log(4))/2
	if math.Abs(d.MeanKL()-kl) > 1e-6 || math.Abs(math.Log(d.Perplexity())-nll) > 1e-6 || d.Top1() != 0.5 || math.Abs(d.RefNLL/2-ref) > 1e-6 {
		t.Errorf("%+v, want KL %v, nll %v, the reference's %v, top1 0.5", d, kl, nll, ref)
	}
}
