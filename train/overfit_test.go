package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/train/optim"
	"github.com/ingot-llm/ingot/train/param"
)

// TestOverfit trains each family on one batch until it knows it by heart.
func TestOverfit(t *testing.T) {
	table := kernels.Tables()[0]
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			set := openSet(t, name, param.BF16)
			e := newTrainee(t, wholly(set), randomDocuments(rand.New(rand.NewPCG(8, 9)), 384, 12, 21), table, kernels.Training{Balance: 0.01})
			o, err := optim.NewAdamW(set, table)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			o.Rate = 4e-3
			n, floor := float64(len(e.batch.Targets)), lossFloor(set, 384)
			loss := 0.0
			for step := range 600 {
				if loss = e.loss(t) / n; loss < floor+0.01 {
					return
				}
				if err := o.Step(float64(600-step)/600, 1/n, o.Norm(1/n)); err != nil {
					t.Fatal(err)
				}
			}
			t.Errorf("after 600 steps the loss is %.4f, at least %.4f is possible", loss, floor)
		})
	}
}

// lossFloor returns the least loss that a model can have: where logits are capped to
// -c ... c, that of one at c and the others at -c.
func lossFloor(set *param.Set, vocab int) float64 {
	c := set.Meta().Float("gemma2.final_logit_softcapping", 0)
	if c == 0 {
		return 0
	}
	return math.Log1p(float64(vocab-1) * math.Exp(-2*c))
}
