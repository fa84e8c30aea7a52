package train

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/train/optim"
	"github.com/ingot-llm/ingot/train/param"
)

// snapTo makes a set compute with weights rounded to a mix.
func snapTo(t *testing.T, set *param.Set, name string) quant.Mix {
	t.Helper()
	mix, err := quant.ParseMix(name)
	if err == nil {
		err = set.SnapTo(convert.Types(set, mix, false))
	}
	if err != nil {
		t.Fatal(err)
	}
	return mix
}

// learn makes steps of AdamW on a batch, and returns the last step's loss a target.
func learn(t *testing.T, e *trainee, table *kernels.Table, steps int) (loss float64) {
	t.Helper()
	o, err := optim.NewAdamW(e.set, table)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	o.Rate = 4e-3
	n := float64(len(e.batch.Targets))
	for step := range steps {
		loss = e.loss(t) / n
		if err := o.Step(float64(steps-step)/float64(steps), 1/n, o.Norm(1/n)); err != nil {
			t.Fatal(err)
		}
		if err := e.set.Snap(); err != nil {
			t.Fatal(err)
		}
	}
	return loss
}

// sameAsTraining writes what a set computes with, and what its masters become when they are
// exported and quantized, as GGUF files, and compares their tensors.
func sameAsTraining(t *testing.T, set *param.Set, mix quant.Mix) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hf")
	if err := convert.ToHF(context.Background(), set.Masters(), dir, convert.HFOptions{Type: "F32"}); err != nil {
		t.Fatal(err)
	}
	exported, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer exported.Close()
	want, got := toGGUF(t, set, convert.Options{}), toGGUF(t, exported, convert.Options{Mix: mix})
	blocks := 0
	for _, info := range want.Infos() {
		a, _ := want.Tensor(info.Name)
		b, err := got.Tensor(info.Name)
		if err != nil || a.DType != b.DType || !bytes.Equal(a.Data, b.Data) {
			t.Errorf("%s is %v with other bits than training's %v (%v)", info.Name, b.DType, a.DType, err)
		}
		if a.DType.BlockElems() > 1 {
			blocks++
		}
	}
	if blocks < 8 {
		t.Errorf("training rounds %d tensors", blocks)
	}
}

func toGGUF(t *testing.T, src quant.Source, o convert.Options) quant.Source {
	t.Helper()
	file := filepath.Join(t.TempDir(), "m.gguf")
	if err := convert.ToGGUF(context.Background(), src, file, o); err != nil {
		t.Fatal(err)
	}
	out, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	return out
}

// TestQAT: a model that was trained with its weights rounded has far less loss, quantized,
// than one that was not; and the quantized file has the bits that training computed with.
func TestQAT(t *testing.T) {
	table := kernels.Tables()[0]
	for name, mix := range map[string]string{"llama-untied": "Q4_0", "qwen3_moe": "Q4_0", "gpt2": "Q4_1"} {
		t.Run(name, func(t *testing.T) {
			documents := randomDocuments(rand.New(rand.NewPCG(8, 9)), 384, 60, 50, 60, 64)
			var losses [2]float64
			for i := range losses {
				set := openSet(t, name, param.BF16)
				if i == 1 {
					snapTo(t, set, mix)
				}
				e := newTrainee(t, wholly(set), documents, table, kernels.Training{Balance: 0.01})
				learn(t, e, table, 120)
				if i == 0 {
					snapTo(t, set, mix) // after training
					e = newTrainee(t, wholly(set), documents, table, kernels.Training{})
				}
				losses[i] = e.loss(t) / float64(len(e.batch.Targets))
				m, _ := quant.ParseMix(mix)
				sameAsTraining(t, set, m)
			}
			t.Logf("%s: loss %.4f quantized after training, %.4f trained with it", mix, losses[0], losses[1])
			if losses[1] > 0.7*losses[0] {
				t.Errorf("%s: loss %.4f quantized after training, %.4f trained with it", mix, losses[0], losses[1])
			}
		})
	}
}

// TestPretrainQAT: the command says how its model is to be quantized, and what it has is what
// was trained, in full precision.
func TestPretrainQAT(t *testing.T) {
	data, tokenizer := testData(t)
	out := filepath.Join(t.TempDir(), "run")
	printed := command(t, append(pretrainArgs(data, tokenizer, out, 1, 20), "--qat", "q4_0")...)
	if !strings.Contains(printed, "ingot quantize "+filepath.Join(out, "model")) {
		t.Errorf("printed:\n%s", printed)
	}
	src, err := checkpoint.Open(filepath.Join(out, "model"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if w, err := src.Tensor("blk.0.ffn_up.weight"); err != nil || w.DType != quant.F32 {
		t.Errorf("the model has %v, want F32 (%v)", w.DType, err)
	}
	for want, args := range map[string][]string{"no grid": {"--qat", "BF16"}, "unknown": {"--qat", "Q9"}, "neither --lora-rank nor --ema": {"--qat", "Q4_0", "--ema", "0.9"}} {
		if _, err := try(append(pretrainArgs(data, tokenizer, out, 1, 20), args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v gives %v, want %q", args, err, want)
		}
	}
}
