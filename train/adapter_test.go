package train

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/train/param"
)

// goldenBase opens a golden model, quantized to a mix where one is named.
func goldenBase(t *testing.T, name, mix string) quant.Source {
	t.Helper()
	src, err := checkpoint.Open(quantizedGolden(t, name, mix))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// quantizedGolden returns the path of a golden model of a type, "" for as it is.
func quantizedGolden(t *testing.T, name, mix string) string {
	t.Helper()
	dir := quanttest.Shared(t, "data", "models", "golden", "arch", name)
	if mix == "" {
		return dir
	}
	m, err := quant.ParseMix(mix)
	if err != nil {
		t.Fatal(err)
	}
	src := opened(t, dir)
	defer src.Close()
	file := filepath.Join(t.TempDir(), name+"-"+mix+".gguf")
	if err := convert.ToGGUF(t.Context(), src, file, convert.Options{Mix: m}); err != nil {
		t.Fatal(err)
	}
	return file
}

// openAdapted returns a network of an adapter over a base, whose B is no longer zero.
func openAdapted(t *testing.T, base quant.Source, o loraOptions) network {
	t.Helper()
	a, err := newAdapter(base, o, kernels.Tables()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.set.Close() })
	random := rand.New(rand.NewPCG(3, 5))
	padded := lora.PaddedRank(a.Rank)
	for _, w := range a.order {
		p := a.set.Param(nameB(w))
		for i := range p.Master {
			if i%padded < a.Rank {
				p.Master[i] = float32(0.02 * random.NormFloat64())
			}
		}
		p.Round()
	}
	return network{source: base, set: a.set, adapter: a}
}

// withMagnitudes is ranked with DoRA.
func withMagnitudes(rank int) loraOptions {
	o := ranked(rank)
	o.DoRA = true
	return o
}

func ranked(rank int) loraOptions {
	return loraOptions{Config: lora.Config{Rank: rank, Alpha: 8}, targets: []string{allLinear}}
}

// TestAdapterGradients compares the gradient of every A and B of every family with central
// differences of the loss; what pads a rank has none.
func TestAdapterGradients(t *testing.T) {
	table := kernels.Tables()[0]
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			base := goldenBase(t, name, "")
			if base.Infos()[0].DType != quant.F32 {
				t.Skip("its weights are no F32")
			}
			random := rand.New(rand.NewPCG(3, 5))
			lengths := []int{12, 21}
			if strings.Contains(name, "moe") || name == "mixtral" || name == "gpt_oss" {
				lengths = []int{3} // few tokens, few jumps from one expert to another
			}
			n := openAdapted(t, base, ranked(4))
			e := newTrainee(t, n, randomDocuments(random, 384, lengths...), table, kernels.Training{})
			for _, p := range n.set.Params() {
				e.set.ZeroGrad()
				e.loss(t)
				grad := slices.Clone(p.Grad)
				across := make([]float32, len(grad))
				for i := range across {
					if across[i] = float32(random.NormFloat64()); padding(p, i, 4) {
						across[i] = 0
						if grad[i] != 0 {
							t.Fatalf("%s: element %d pads the rank and has the gradient %g", p.Name, i, grad[i])
						}
					}
				}
				e.check(t, p, grad, slices.Clone(grad))
				e.check(t, p, grad, across)
			}
		})
	}
}

// padding reports whether element i of an A or B of a rank is padding.
func padding(p *param.Param, i, rank int) bool {
	if strings.HasSuffix(p.Name, ".lora_a") {
		return i/p.Shape[1] >= rank
	}
	return i%p.Shape[1] >= rank
}

// TestAdapterIsServed: after some steps over bases of every precision, also quantized
// ones, the log-probabilities of the trainer's packed batch are, bit for bit, those that
// the engine gives of the base with the adapter as it was written in PEFT's format; the
// base did not change.
func TestAdapterIsServed(t *testing.T) {
	for _, mix := range []string{"", "BF16", "Q8_0", "Q4_0"} {
		for i, name := range []string{"llama-tied", "gpt2", "phi3", "llama-tied", "gpt2"} {
			o := ranked(5)
			if i >= 3 {
				o = withMagnitudes(5)
			}
			t.Run(fmt.Sprint(name, " ", mix, " ", o.DoRA), func(t *testing.T) {
				path := quantizedGolden(t, name, mix)
				base := opened(t, path)
				defer base.Close()
				table := kernels.Tables()[0]
				n := openAdapted(t, base, o)
				sequences := whole(randomDocuments(rand.New(rand.NewPCG(5, 6)), 384, 40, 3, 21))
				e := newTrainee(t, n, sequences, table, kernels.Training{})
				trainSome(t, e, table)
				want := packedLogprobsAdapted(t, n, e.batch, table)
				checkLosses(t, e, want)
				dir := filepath.Join(t.TempDir(), "adapter")
				if err := lora.Write(dir, n.adapter.snapshot(), path); err != nil {
					t.Fatal(err)
				}
				served := opened(t, path)
				a, err := lora.Open(dir, served)
				if err != nil {
					t.Fatal(err)
				}
				p := n.set.Precision()
				sameLogprobs(t, "base and adapter", engineLogprobs(t, served, p, sequences, engine.Adapter{Name: "tuned", Adapter: a}), want)
			})
		}
	}
}

// packedLogprobsAdapted is packedLogprobs of rows that all take the one adapter.
func packedLogprobsAdapted(t *testing.T, n network, b kernels.Batch, table *kernels.Table) []float32 {
	for range b.SeqLen {
		b.Adapters = append(b.Adapters, 1)
	}
	return packedLogprobs(t, n, b, table)
}

// chatShards returns the folder of the shards of conversations.
func chatShards(t *testing.T, tokenizer string) string {
	t.Helper()
	text, data := filepath.Join(t.TempDir(), "chats.jsonl"), filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(text, []byte(conversations()), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "data", "--tokenizer", tokenizer, "--chat", "--out", data, "--valid", "0.3", text)
	return data
}

// TestQLoRA tunes an adapter over a quantized base by the command: the loss on held-back
// answers falls, the base stays as it is, an interrupted run's bits come back, and the
// merged model opens.
func TestQLoRA(t *testing.T) {
	base := quantizedGolden(t, "llama-tied", "Q4_0")
	before, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	data, out := chatShards(t, base), filepath.Join(t.TempDir(), "run")
	args := []string{"sft", "--model", base, "--data", data, "--lora-rank", "8", "--batch-tokens", "256", "--micro-tokens", "256",
		"--lr", "2e-2", "--valid-tokens", "256", "--eval-every", "0", "--schedule", "constant"}
	first := lastLoss(t, command(t, append(args, "--out", filepath.Join(t.TempDir(), "first"), "--steps", "1")...))
	printed := command(t, append(args, "--out", out, "--steps", "80")...)
	if loss := lastLoss(t, printed); !(loss < first/3) || !strings.Contains(printed, "--lora") {
		t.Errorf("the validation loss is %g, %g after one step; printed:\n%s", loss, first, printed)
	}
	if after, _ := os.ReadFile(base); !slices.Equal(after, before) {
		t.Error("the base has changed")
	}
	merged := filepath.Join(t.TempDir(), "merged")
	command(t, "merge", base, filepath.Join(out, "adapter"), merged)
	checkExported(t, merged)
	file := filepath.Join(t.TempDir(), "merged.gguf")
	command(t, "merge", base, filepath.Join(out, "adapter"), file, "--type", "Q8_0")
	checkExported(t, file)
}

// TestAdapterRefused: targets that the model has not.
func TestAdapterRefused(t *testing.T) {
	o := ranked(4)
	o.targets = []string{"no_proj"}
	if _, err := newAdapter(goldenBase(t, "llama-tied", ""), o, kernels.Tables()[0], 1); err == nil || !strings.Contains(err.Error(), "q_proj") {
		t.Errorf("an unknown target gives %v", err)
	}
}
