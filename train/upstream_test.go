package train

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/quant/safetensors"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/param"
)

// TestUpstreamGradients compares the gradients of every parameter of the encoder and of the
// classifier, of a random sum of what they put out, with central differences.
func TestUpstreamGradients(t *testing.T) {
	for name, outputs := range map[string]int{"bert": 64, "llama-reward": 1} {
		for _, recompute := range []kernels.Recompute{kernels.RecomputeNone, kernels.RecomputeBlock} {
			t.Run(name+" "+recompute.String(), func(t *testing.T) {
				random := rand.New(rand.NewPCG(3, 4))
				o := kernels.Training{Upstream: nativeFloats(t, 2*outputs), Recompute: recompute}
				for i := range o.Upstream {
					o.Upstream[i] = float32(random.NormFloat64())
				}
				documents := lastRows(randomDocuments(random, 384, 12, 21))
				newTrainee(t, wholly(openSet(t, name, param.F32)), documents, kernels.Tables()[0], o).checkAll(t, random)
			})
		}
	}
}

// lastRows wants the output of each sequence's last row alone.
func lastRows(sequences []loader.Sequence) []loader.Sequence {
	for _, s := range sequences {
		for i := range s.Targets {
			s.Targets[i] = -1
		}
		s.Targets[len(s.Targets)-1] = 0
	}
	return sequences
}

// nativeFloats returns n zeros in native memory.
func nativeFloats(t *testing.T, n int) []float32 {
	t.Helper()
	buf, err := kernels.NewBuf(4 * n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { buf.Free() })
	return buf.Floats()
}

// rewardGolden is data/models/golden/align/reward.json.
type rewardGolden struct {
	Losses map[string]float64
	Pairs  []struct {
		Chosen, Rejected []int32
		Margin           float64
		ChosenScore      float64 `json:"chosen_score"`
		RejectedScore    float64 `json:"rejected_score"`
	}
}

// TestGoldenReward trains the classifier's score as a reward (Bradley & Terry 1952, with a
// margin, centred): scores, losses and gradients are PyTorch's in float64.
func TestGoldenReward(t *testing.T) {
	dir := quanttest.Shared(t, "data", "models", "golden", "align")
	var golden rewardGolden
	if err := json.Unmarshal(read(t, filepath.Join(dir, "reward.json")), &golden); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, "reward_grads.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var documents []loader.Sequence
	for _, p := range golden.Pairs {
		for _, ids := range [][]int32{p.Chosen, p.Rejected} {
			documents = append(documents, loader.Sequence{Tokens: ids, Targets: make([]int32, len(ids))})
		}
	}
	eachTable(t, func(t *testing.T, table *kernels.Table) {
		set := openSet(t, "llama-reward", param.F32)
		o := kernels.Training{Upstream: nativeFloats(t, len(documents))}
		e := newTrainee(t, wholly(set), lastRows(documents), table, o)
		for variant, want := range golden.Losses {
			set.ZeroGrad()
			clear(o.Upstream)
			e.loss(t)
			scores, _, _ := e.runner.Output()
			if got := golden.pairLosses(variant, scores, o.Upstream); math.Abs(got-want) > 1e-5 {
				t.Errorf("%s: the loss is %.7f, want %.7f", variant, got, want)
			}
			e.loss(t)
			compareTo(t, set, f, variant)
		}
	})
}

// pairLosses returns the mean loss of the pairs' scores and writes its gradient.
func (g *rewardGolden) pairLosses(variant string, scores, gradient []float32) (loss float64) {
	n := float64(len(g.Pairs))
	for i, p := range g.Pairs {
		chosen, rejected := float64(scores[2*i]), float64(scores[2*i+1])
		margin, centre := p.Margin, 0.0
		if variant == "plain" {
			margin = 0
		}
		if variant == "margin_centred" {
			centre = 0.01 * (chosen + rejected)
		}
		d := chosen - rejected - margin
		loss += (math.Log1p(math.Exp(-d)) + centre*(chosen+rejected)) / n
		slope := -1 / (1 + math.Exp(d))
		gradient[2*i] = float32((slope + 2*centre) / n)
		gradient[2*i+1] = float32((-slope + 2*centre) / n)
	}
	return loss
}

// compareTo compares the gradients that the file has of a variant.
func compareTo(t *testing.T, set *param.Set, f *safetensors.File, variant string) {
	t.Helper()
	ours := map[string]string{"score.weight": "cls.output.weight", "model.norm.weight": "output_norm.weight", "model.layers.1.mlp.down_proj.weight": "blk.1.ffn_down.weight"}
	for theirs, name := range ours {
		want := floatsOf(t, f, variant+"."+theirs)
		var top, worst float64
		for i, v := range want {
			top, worst = max(top, math.Abs(float64(v))), max(worst, math.Abs(float64(v-set.Param(name).Grad[i])))
		}
		if !(worst <= 1e-4*top) || top == 0 {
			t.Errorf("%s: the gradient of %s is off by %.2g, its largest entry is %.2g", variant, name, worst, top)
		}
	}
}
