package train

import (
	"math"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/optim"
	"github.com/ingot-llm/ingot/train/param"
)

// TestSkipsNonFinite: a step whose gradient is not finite changes nothing and says so,
// and the next one is as if it had not been.
func TestSkipsNonFinite(t *testing.T) {
	data, _ := testData(t)
	shards, err := openShards(data, "train")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shards {
		defer s.Close()
	}
	set, table := openSet(t, "llama-tied", param.F32), kernels.Tables()[0]
	tr := &Trainer{network: wholly(set), batches: 1, schedule: optim.Schedule{Kind: "constant", Steps: 10}}
	if tr.loader, err = loader.New([]loader.Source{{Name: "a", Shards: shards, Weight: 1}}, loader.Options{Tokens: 64, Context: 32}); err != nil {
		t.Fatal(err)
	}
	if tr.optim, err = optim.NewAdamW(set, table); err != nil {
		t.Fatal(err)
	}
	defer tr.optim.Close()
	if tr.pass, err = newPass(wholly(set), table, 64, true, kernels.Training{}); err != nil {
		t.Fatal(err)
	}
	defer tr.pass.close()
	norm, other := set.Param("output_norm.weight"), set.Param("blk.0.attn_q.weight")
	kept, before := norm.Master[3], slices.Clone(other.Master)
	norm.Master[3] = float32(math.Inf(1))
	if r, err := tr.Step(); err != nil || !r.Skipped || !slices.Equal(other.Master, before) {
		t.Errorf("%+v, %v: the step was made", r, err)
	}
	norm.Master[3] = kept
	r, err := tr.Step()
	if err != nil || r.Skipped || !finite(r.Loss) || slices.Equal(other.Master, before) || tr.optim.Steps() != 1 {
		t.Errorf("the step after: %+v, %v", r, err)
	}
}
