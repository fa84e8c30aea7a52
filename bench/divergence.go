package bench

import "math"

// divergence sums up how a model's predictions differ from a reference's, token by token.
type divergence struct {
	tokens  int
	nll     float64 // -ln p(next token), of the model
	kl      float64 // sum over the vocabulary of q ln(q/p), q the reference's
	matches int     // tokens at which both have the same likeliest next one
}

// add compares one row of logits with the reference's, where the text goes on with next.
func (d *divergence) add(reference, logits []float32, next int32) {
	refSum, sum := logSumExp(reference), logSumExp(logits)
	d.tokens++
	d.nll += sum - float64(logits[next])
	for i, l := range logits {
		q := float64(reference[i]) - refSum
		d.kl += math.Exp(q) * (q - (float64(l) - sum))
	}
	if likeliest(reference) == likeliest(logits) {
		d.matches++
	}
}

func (d *divergence) perplexity() float64 { return math.Exp(d.nll / float64(d.tokens)) }
func (d *divergence) meanKL() float64     { return d.kl / float64(d.tokens) }
func (d *divergence) top1() float64       { return float64(d.matches) / float64(d.tokens) }

// logSumExp returns ln sum e^x, which is what logits lack to be log-probabilities.
func logSumExp(x []float32) float64 {
	top := float64(x[likeliest(x)])
	var sum float64
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}

// likeliest returns the index of the first largest element.
func likeliest(x []float32) (best int) {
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
