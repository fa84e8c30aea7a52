package predict

import "math"

// Divergence sums up how a model's predictions differ from a reference's, token by token.
type Divergence struct {
	Tokens  int
	NLL     float64 // -ln p(next token), of the model
	RefNLL  float64 // the same of the reference
	KL      float64 // sum over the vocabulary of q ln(q/p), q the reference's, in nats
	Matches int     // tokens at which both have the same likeliest next one
}

// Add compares rows of logits with the reference's: the text goes on with next[i] after
// row i.
func (d *Divergence) Add(reference, logits []float32, next []int32) {
	width := len(logits) / len(next)
	for i, id := range next {
		from, to := i*width, (i+1)*width
		d.row(reference[from:to], logits[from:to], id)
	}
}

func (d *Divergence) row(reference, logits []float32, next int32) {
	refSum, sum := logSumExp(reference), logSumExp(logits)
	d.Tokens++
	d.NLL += sum - float64(logits[next])
	d.RefNLL += refSum - float64(reference[next])
	for i, l := range logits {
		q := float64(reference[i]) - refSum
		d.KL += math.Exp(q) * (q - (float64(l) - sum))
	}
	if likeliest(reference) == likeliest(logits) {
		d.Matches++
	}
}

// Perplexity of the model: e to the mean surprise at the text's own next token.
func (d *Divergence) Perplexity() float64 { return math.Exp(d.NLL / float64(d.Tokens)) }

// MeanKL is the mean divergence of the model's distribution from the reference's, in nats.
func (d *Divergence) MeanKL() float64 { return d.KL / float64(d.Tokens) }

// Top1 is the share of tokens with the reference's likeliest next one.
func (d *Divergence) Top1() float64 { return float64(d.Matches) / float64(d.Tokens) }

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
